"""Published ports: what the user wrote, checked; which ports of the host they become.

Nothing here knows which ports are taken: the caller tells. Sentences are Docker's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from netloom.firewall.taken import Taken
from netloom.model.container import ContainerConfig
from netloom.model.endpoint import PortBinding
from netloom.model.errors import Exhausted, Failed, InvalidArgument
from netloom.model.host_config import HostConfig, PortSpec
from netloom.model.port_keys import bindings_each, exposed_each, run

DYNAMIC = (32768, 60999)  # where a port is chosen when the user named none, as Docker does
PROTOCOLS = ("tcp", "udp", "sctp")
ANY4, ANY6 = "0.0.0.0", "::"

Among = Callable[[str, int, int], Sequence[tuple[int, str]]]  # protocol, first port, how many → ports with addresses


class PortRequest(Struct, frozen=True):
    """One binding to make. The same host port, of `first` to `last`, on every address of `host_ips`.

    Or `width` of them side by side, from the very port `first` on.
    """

    proto: str
    container_port: int
    host_ips: tuple[str, ...]
    first: int
    last: int
    width: int = 1


def check_ports(config: ContainerConfig, host_config: HostConfig) -> None:
    """What is refused at create. Raises InvalidArgument."""
    exposed = set()
    for key in config.exposed_ports or {}:
        low, high, proto = _exposed(key)
        exposed |= {(port, proto) for port in range(low, high + 1)}
    for key, specs in (host_config.port_bindings or {}).items():
        port, proto = split_port(key)
        for spec in specs or ():
            _host_ports(spec.host_port)
            _host_ip(spec.host_ip)
        if specs and (port, proto) not in exposed:
            raise InvalidArgument(
                f"port {port}/{proto} is published and not exposed",
                remedy=f'name "{port}/{proto}" in ExposedPorts as well',
            )


def requested(
    config: ContainerConfig, host_config: HostConfig, default_ip: str = "", *, ipv4: bool = True, host_ipv6: bool = True
) -> list[PortRequest]:
    """The bindings that a start asks for, of a request that `check_ports` has passed.

    `default_ip` is the network's or the daemon's address for bindings that name none. `ipv4` tells whether an IPv4
    address stands behind: without, IPv4 bindings fall away, as with Docker. `host_ipv6` tells whether the host has
    IPv6 at all. Raises Failed for a protocol that does not exist.
    """
    requests = []
    addresses: dict[str, tuple[str, ...]] = {}
    for (port, width, proto), specs in _wanted(config, host_config).items():
        if specs and proto not in PROTOCOLS:
            raise Failed("unknown protocol", remedy=f"{proto}: only {', '.join(PROTOCOLS)} ports can be published")
        for spec in specs or ():
            first, last = _host_ports(spec.host_port)
            host_ips = addresses.get(spec.host_ip)
            if host_ips is None:  # of thousands of ports nearly all name the same
                wanted = _host_ip(spec.host_ip) or default_ip
                host_ips = tuple(_addresses(wanted, bool(spec.host_ip), ipv4, host_ipv6))
                addresses[spec.host_ip] = host_ips
            if host_ips and first:
                requests.append(PortRequest(proto, port, host_ips, first, last if width == 1 else first, width))
            elif host_ips:  # any: each its own
                requests += [PortRequest(proto, one, host_ips, first, last) for one in range(port, port + width)]
    return requests


def _wanted(
    config: ContainerConfig, host_config: HostConfig
) -> dict[tuple[int, int, str], tuple[PortSpec, ...] | None]:
    """What is published, by first port, how many, and protocol."""
    bindings = host_config.port_bindings or {}
    if not host_config.publish_all_ports:
        return {_many(key): specs for key, specs in bindings.items()}
    found = {_many(key): specs for key, specs in bindings_each(bindings).items()}
    for key in exposed_each(config.exposed_ports or {}):
        low, high, proto = _exposed(key)
        for port in range(low, high + 1):
            found[port, 1, proto] = found.get((port, 1, proto)) or (PortSpec(),)
    return found


def _many(key: str) -> tuple[int, int, str]:
    if (many := run(key)) is not None:
        return many
    port, proto = split_port(key)
    return port, 1, proto


def relayed(ports: Iterable[PortBinding]) -> Iterator[PortBinding]:
    """Those that have a port on an IPv6 address of the host, and that the relay can serve."""
    return (port for port in ports if port.family == 6 and port.host_port and port.proto != "sctp")


def within(
    requests: Iterable[PortRequest], families: Collection[int], beside: Collection[PortBinding]
) -> list[PortRequest]:
    """What remains of requests for addresses of some families; a number that `beside` has already is the other's too.

    Those are the bindings of the other family that stand.
    """
    numbers = {(b.proto, b.container_port): b.host_port for wide in beside for b in wide.each() if b.host_port}
    found = []
    for request in requests:
        host_ips = tuple(ip for ip in request.host_ips if (6 if ":" in ip else 4) in families)
        if not host_ips:
            continue
        first, last = request.first, request.last
        if first != last or not first:
            number = numbers.get((request.proto, request.container_port), 0)
            if len(host_ips) < len(request.host_ips) and number:
                first = last = number
        found.append(msgspec.structs.replace(request, host_ips=host_ips, first=first, last=last))
    return found


def untranslated(
    requests: Iterable[PortRequest], families: Collection[int]
) -> tuple[list[PortBinding], list[PortRequest]]:
    """The bindings of `families`, which need no port of the host (0), and what remains to be chosen."""
    if not families:
        return [], list(requests)
    opened: list[PortBinding] = []
    remaining: list[PortRequest] = []
    for request in requests:
        own = [ip for ip in request.host_ips if (6 if ":" in ip else 4) in families]
        others = tuple(ip for ip in request.host_ips if ip not in own)
        opened += [
            PortBinding(request.proto, request.container_port, ANY6 if ":" in ip else ANY4, 0, request.width)
            for ip in own
        ]
        if others:
            remaining.append(msgspec.structs.replace(request, host_ips=others))
    return list(dict.fromkeys(opened)), remaining


def choose(
    requests: Iterable[PortRequest],
    taken: Among,
    random: Callable[[int], bytes],
) -> list[PortBinding]:
    """Ports for all requests, or none. `taken` tells which are published already, as `Taken.among` does.

    Sorted as inspect lists them. Raises Failed naming the binding in the way, Exhausted when no port is left.
    """
    chosen = Taken()
    bindings: list[PortBinding] = []
    for request in sorted(requests, key=_freedom):
        port = _free_port(request, taken, chosen, random)
        for ip in request.host_ips:
            binding = PortBinding(request.proto, request.container_port, ip, port, request.width)
            chosen.put(binding)
            bindings.append(binding)
    return sorted(bindings, key=lambda b: (b.container_port, b.proto, b.host_port, ":" in b.host_ip, b.host_ip))


def check_local(bindings: Iterable[PortBinding], addresses: Collection[str], target: str) -> None:
    """Refuse host addresses that the host does not have. `target` is the container's address, for the sentence."""
    first_on = {binding.host_ip: binding for binding in reversed(list(bindings))}  # few addresses, maybe many ports
    for host_ip, binding in first_on.items():
        ip = ipaddress.ip_address(host_ip)
        if not ip.is_unspecified and not ip.is_loopback and host_ip not in addresses:
            raise not_bound(binding, target, "cannot assign requested address")


def not_bound(binding: PortBinding, target: str, reason: str) -> Failed:
    """Docker's sentence for a host port that cannot be had; `reason` is the system's (`address already in use`)."""
    outer = f"{_bracketed(binding.host_ip)}:{binding.host_port}"
    inner = f"{_bracketed(target)}:{binding.container_port}/{binding.proto}"
    return Failed(f"failed to bind host port for {outer}:{inner}: {reason}")


def conflict(ip: str, others: Iterable[str]) -> str:
    """The address among `others` that stands in the way of `ip` on the same port, or nothing."""
    family = [o for o in others if (":" in o) == (":" in ip)]
    any_address = ip in (ANY4, ANY6)
    return next((o for o in family if any_address or o in (ip, ANY4, ANY6)), "")


def _free_port(request: PortRequest, taken: Among, chosen: Taken, random: Callable[[int], bytes]) -> int:
    for port in _candidates(request, random):
        where = (request.proto, port, request.width)
        own, other = (_in_the_way(request.host_ips, among(*where)) for among in (chosen.among, taken))
        if own is None and other is None:
            return port
        if request.first == request.last != 0:
            if own is not None:
                raise Failed(
                    f"failed to listen on {request.proto.upper()} socket: address already in use",
                    remedy=f"port {own[0]}/{request.proto} is asked for twice",
                )
            assert other is not None
            raise Failed(f"Bind for {_bracketed(other[1])}:{other[0]} failed: port is already allocated")
    raise Exhausted("all ports are allocated", remedy="name a wider range, or remove containers that publish ports")


def _in_the_way(host_ips: Iterable[str], others: Sequence[tuple[int, str]]) -> tuple[int, str] | None:
    """The first port that keeps one of the addresses from being had, and whose it is."""
    if not others:
        return None
    by_port: dict[int, list[str]] = {}
    for port, ip in others:
        by_port.setdefault(port, []).append(ip)
    found = ((port, o) for port, ips in by_port.items() for ip in host_ips if (o := conflict(ip, ips)))
    return next(found, None)


def _candidates(request: PortRequest, random: Callable[[int], bytes]) -> Iterator[int]:
    if request.first:
        yield from range(request.first, request.last + 1)
        return
    low, high = DYNAMIC
    start = low + int.from_bytes(random(4), "big") % (high - low + 1)
    yield from range(start, high + 1)
    yield from range(low, start)


def _freedom(request: PortRequest) -> tuple[int, int, str]:
    """Exact ports first, then ranges, then any: the choosy are served before those who do not care."""
    kind = 2 if not request.first else int(request.first != request.last)
    return kind, request.container_port, request.proto


def _addresses(ip: str, explicit: bool, ipv4: bool, host_ipv6: bool) -> Iterator[str]:
    """The host addresses of one binding: both wildcards where neither user nor network names one."""
    if not explicit and ip in ("", ANY4):
        if ipv4:
            yield ANY4
        if host_ipv6:
            yield ANY6
    elif (":" in ip and host_ipv6) or (":" not in ip and ipv4):
        yield ip


def split_port(key: str) -> tuple[int, str]:
    """`80/tcp` → (80, "tcp"); the protocol may be absent."""
    text, _, proto = key.partition("/")
    return _number(text, text), proto.lower() or "tcp"


def _exposed(key: str) -> tuple[int, int, str]:
    """The same for ExposedPorts, which may hold a range."""
    text, _, proto = key.partition("/")
    low, dash, high = text.partition("-")
    first = _number(low, text)
    last = _number(high, text) if dash else first
    if last < first:
        raise InvalidArgument(f'invalid port specification: "{text}"')
    return first, last, proto.lower() or "tcp"


def _host_ports(text: str) -> tuple[int, int]:
    """First and last host port; (0, 0) when any will do."""
    low, dash, high = text.partition("-")
    first = _number(low, text) if text else 0
    last = _number(high, text) if dash else first
    if last < first or (dash and not first):
        raise InvalidArgument(f'invalid port specification: "{text}"')
    return first, last


def _number(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise InvalidArgument(f'invalid port specification: "{whole}"')
    return int(text)


def _host_ip(text: str) -> str:
    """The address in its canonical form. Docker takes one that it cannot read for every address of the host."""
    if not text:
        return ""
    try:
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]") if ":" in text else text))
    except ValueError:
        raise InvalidArgument(
            f"invalid IP address: {text}", remedy="name an address of the host to publish on"
        ) from None


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
