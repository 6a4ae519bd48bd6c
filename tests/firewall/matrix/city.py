"""These networks on an engine, ours or Docker, made by the Engine API; and the two neighbours of its host."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from netloom.drivers.bridge import link_local
from netloom.kernel.socket import NETFILTER, NetlinkSocket
from netloom.netlink.message import Message
from netloom.testing.daemons import UnixConnection
from netloom.testing.hosts import Netns, eventually

from .cells import (
    HOST4,
    HOST6,
    KINDS,
    LONELY,
    OTHER4,
    OTHER6,
    OTHER_UPLINK,
    UPLINK,
    Cell,
    Kind,
    source_place,
    target_place,
)
from .exchange import Exchange, Fate, Probe
from .rules import DENIED, UNANSWERED, of_a_port, through_port

SERVED, UNPUBLISHED, SERVICE = 80, 81, 7000  # ports of containers, of the host
PREFIX = "mx"
_FORGET_ALL = Message((1 << 8) | 2, 0, struct.pack("!BBH", socket.AF_UNSPEC, 1, 0))  # IPCTNL_MSG_CT_DELETE
_HOST, _OTHER = {4: HOST4, 6: HOST6}, {4: OTHER4, 6: OTHER6}


class Engine:
    """The API behind a socket."""

    def __init__(self, path: Path, image: str) -> None:
        self.path = path
        self.image = image

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer. RuntimeError for a status of 400 and above."""
        connection = UnixConnection(self.path)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode(errors='replace').strip()}")
        return json.loads(text) if text else None


def lay_uplinks(host: Netns, stack: ExitStack) -> dict[str, Netns]:
    """The neighbours `outside` and `lan`, each behind an interface of the host, with routes to every container."""
    found = {}
    for place, link, last in (("outside", UPLINK, 1), ("lan", OTHER_UPLINK, 2)):
        there = found[place] = stack.enter_context(Netns())
        there.sysctl("net/ipv6/conf/default/accept_dad", "0")
        host.run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", there.netns_path)
        host.sysctl(f"net/ipv6/conf/{link}/accept_dad", "0")
        stack.callback(host.run, "ip", "link", "del", link, check=False)
        for end, dev, number in ((host, link, 2), (there, "eth0", 1)):
            _ip(end, f"addr add 10.78.{last}.{number}/24 dev {dev}")
            _ip(end, f"-6 addr add fd00:78:{last}::{number}/64 dev {dev} nodad")
            _ip(end, f"link set {dev} up")
        _ip(there, f"route add default via 10.78.{last}.2", f"-6 route add default via fd00:78:{last}::2")
    return found


class City:
    """The containers by name (`KIND.itself`, `KIND.sibling`, `KIND.far`, `host`, `none`) and all around them."""

    def __init__(self, engine: Engine, host: Netns, neighbours: Mapping[str, Netns]) -> None:
        self.engine = engine
        self.host = host
        self.unsent: set[Cell] = set()  # what the last probes' own kernels did not send
        self.sctp_published = True  # False where the engine cannot, for its proxy lacks the sockets
        self.addresses: dict[str, dict[int, str]] = {}
        self.gateways: dict[str, dict[int, str]] = {}
        self._numbers: dict[str, int] = {}
        self._networks: list[str] = []
        self._containers: list[str] = []
        self._stack = ExitStack()
        self._neighbours = neighbours
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was made here."""
        self._stack.close()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda c: self.engine.call("DELETE", f"/containers/{c}?force=1&v=1"), self._containers))
        for network in self._networks:
            self.engine.call("DELETE", f"/networks/{network}")
        self._containers.clear()
        self._networks.clear()

    def verdicts(
        self, cells: Sequence[Cell], hopeful: Iterable[Cell], *, bridge_netfilter: bool | None = None
    ) -> dict[Cell, str]:
        """What becomes of each: in the words of `rules`;."""
        if bridge_netfilter is not None:
            self.host.bridge_netfilter(bridge_netfilter)
        with self.host.call(lambda: NetlinkSocket(NETFILTER)) as netfilter:
            netfilter.request([_FORGET_ALL])
        hoped = set(hopeful)
        asked = [c for c in cells if self.sctp_published or not (c.protocol == "sctp" and of_a_port(c))]
        fates = self._exchange.run(
            [self._probe(cell) for cell in asked], {i for i, cell in enumerate(asked) if cell in hoped}
        )
        self.unsent = {cell for cell, fate in zip(asked, fates, strict=True) if fate.error and not fate.answered}
        return {cell: self._verdict(cell, fate) for cell, fate in zip(asked, fates, strict=True)}

    # Who asks whom.

    def _asked(self, cell: Cell) -> tuple[str, int]:
        """The address and the port."""
        f, to = cell.family, target_place(cell)
        match cell.target.partition("@"):
            case "published", _, where:
                return self._of_the_host(cell, where), self.port(cell.network)
            case "host", _, where:
                return self._of_the_host(cell, where), SERVICE
            case "outside", _, _:  # an address for each, for what has no ports to be told apart by
                number = 16 + sorted(self.places).index(source_place(cell))
                return f"10.78.1.{number}" if f == 4 else f"fd00:78:1::{number:x}", SERVED
            case "itself", _, _:
                return self.addresses.get(to, {4: "127.0.0.1", 6: "::1"})[f], SERVICE
            case target, _, _:
                return self.addresses[to][f], UNPUBLISHED if target == "unpublished" else SERVED

    def _of_the_host(self, cell: Cell, where: str) -> str:
        f = cell.family
        match where:
            case "gateway":
                return self.gateways[cell.network + (".far" if cell.source == "far" else "")][f]
            case "other gateway":
                return self.gateways["nat" if cell.network != "nat" else "nat.far"][f]
            case "other uplink":
                return _OTHER[f]
            case "loopback":
                return "127.0.0.1" if f == 4 else "::1"
            case "link-local":
                return self._link_local[UPLINK if cell.source == "outside" else _bridge(cell.network)]
            case "" | "uplink":
                return _HOST[f]
            case address:
                return address

    @staticmethod
    def port(network: str) -> int:
        """Where on the host its ports are published."""
        return 8001 + list(KINDS).index(network)

    def _probe(self, cell: Cell) -> Probe:
        source, target = source_place(cell), target_place(cell)
        address, port = self._asked(cell)
        # One way and the other have numbers of their own: without ports an answer looks like a question.
        number = 253 if source < target else 254
        scope = self._scopes[source] if address.startswith("fe80:") else 0
        return Probe(source, cell.protocol, cell.family, address, port, scope, number)

    def _verdict(self, cell: Cell, fate: Fate) -> str:
        target, (address, port) = target_place(cell), self._asked(cell)
        arrived = fate.arrived if fate.answered else fate.knocked | fate.arrived
        if target != "host":  # whose own address is asked, or whose relay answers
            arrived = {place: seen for place, seen in arrived.items() if place != "host"}
        if not arrived:
            return DENIED if not fate.answered else "nobody"
        if set(arrived) != {target}:
            return "at:" + ",".join(sorted(arrived))
        if cell.protocol == "sctp" and fate.answered and fate.port != (SERVED if through_port(cell) else port):
            return f"port:{fate.port}"
        seen = self._seen(cell, address, arrived[target].partition("%")[0])
        return seen if fate.answered else seen + UNANSWERED

    def _seen(self, cell: Cell, asked: str, seen: str) -> str:
        source, target = source_place(cell), target_place(cell)
        if source not in ("host", target) and seen in self._own[source]:
            return "own"
        if seen in self.gateways.get(target.removesuffix(".itself"), {}).values():
            return "gateway"
        if seen == asked:
            return "asked"
        return {HOST4: "uplink", HOST6: "uplink", OTHER4: "other", OTHER6: "other"}.get(seen, seen)

    # What there is.

    def _build(self) -> None:
        for number, kind in enumerate(KINDS.values(), 1):
            if kind.name != "bridge":
                self._network(kind, kind.name, 2 * number)
                self._network(kind, f"{kind.name}.far", 2 * number + 1)
        wanted = [
            (kind, f"{kind.name}.{role}")
            for kind in KINDS.values()
            for role in ("itself", "sibling", "far")
            if (kind.name, role) != ("bridge", "far")
        ]
        with ThreadPoolExecutor(4) as pool:
            made = dict(pool.map(lambda one: (one[1], self._container(one[1], one[0])), wanted))
            made |= pool.map(lambda name: (name, self._container(name, None)), LONELY)
        self.places: dict[str, Netns] = {
            **{name: self._stack.enter_context(Netns.of(found["State"]["Pid"])) for name, found in made.items()},
            **self._neighbours,
        }
        for kind, name in wanted:
            self._find_addresses(kind, name, made[name])
        self._route()
        links = json.loads(self.host.run("ip", "-j", "link"))
        self._link_local = {link["ifname"]: link_local(link["address"]) for link in links}
        self._scopes = {name: place.call(_eth0) for name, place in self.places.items()}
        numbers = range(16, 16 + len(self.places))
        _ip(self._neighbours["outside"], *(f"addr add 10.78.1.{n}/24 dev eth0" for n in numbers))
        _ip(self._neighbours["outside"], *(f"-6 addr add fd00:78:1::{n:x}/64 dev eth0 nodad" for n in numbers))
        for name, place in self.places.items():
            eventually(lambda p=place: not p.call(_tentative), what=f"addresses of {name}")  # type: ignore[misc]
        self._own = {name: _own_addresses(place) for name, place in self.places.items()}
        servers: dict[str, tuple[int, ...]] = {f"{name}.itself": (SERVED, UNPUBLISHED) for name in KINDS}
        servers |= {"host": (SERVICE,), "outside": (SERVED,), "none": (SERVICE,), "isolated.far": (SERVICE,)}
        self._exchange = Exchange(self.places, servers)
        self._stack.callback(self._exchange.close)

    def _network(self, kind: Kind, name: str, number: int) -> None:
        pools = [{"Subnet": f"10.77.{number}.0/24", "Gateway": f"10.77.{number}.1"}]
        if kind.ipv6:
            pools.append({"Subnet": f"fd00:77:{number}::/64", "Gateway": f"fd00:77:{number}::1"})
        if "isolated" in kind.modes:
            for pool in pools:
                del pool["Gateway"]
        body = {
            "Name": f"{PREFIX}-{name}",
            "Internal": kind.internal,
            "EnableIPv6": kind.ipv6,
            "Options": {**kind.options, "com.docker.network.bridge.name": _bridge(name)},
            "IPAM": {"Config": pools},
        }
        self._networks.append(self.engine.call("POST", "/networks/create", body)["Id"])
        self.gateways[name] = {4: f"10.77.{number}.1", 6: f"fd00:77:{number}::1"}
        self._numbers[name] = number

    def _container(self, name: str, kind: Kind | None) -> dict[str, Any]:
        """Made and started; what inspect says."""
        network, role = name.rpartition(".")[::2]
        mode = f"{PREFIX}-{network}" if kind else name
        host: dict[str, Any] = {"NetworkMode": mode}
        body: dict[str, Any] = {"Image": self.engine.image, "Cmd": ["sleep", "3600"], "HostConfig": host}
        if kind is not None:
            if kind.name == "bridge":
                host["NetworkMode"] = "bridge"
            else:
                if role == "far":
                    network, host["NetworkMode"] = name, f"{PREFIX}-{name}"
                last = {"itself": 16, "sibling": 17, "far": 18}[role]
                config = {"IPv4Address": f"10.77.{self._numbers[network]}.{last}"}
                if kind.ipv6:
                    config["IPv6Address"] = f"fd00:77:{self._numbers[network]}::{last:x}"
                body["NetworkingConfig"] = {"EndpointsConfig": {host["NetworkMode"]: {"IPAMConfig": config}}}
            if role == "itself":
                self._publish(body, kind)
        try:
            return self._start(name, body)
        except RuntimeError as e:
            if "protocol not supported" not in str(e) or kind is None:
                raise
            self.sctp_published = False
            self._publish(body, kind)
            return self._start(name, body)

    def _publish(self, body: dict[str, Any], kind: Kind) -> None:
        protocols = ("tcp", "udp", *(("sctp",) if self.sctp_published else ()))
        to = [{"HostIp": address, "HostPort": str(self.port(kind.name))} for address in kind.bindings]
        body["ExposedPorts"] = {f"{SERVED}/{p}": {} for p in protocols}
        body["HostConfig"]["PortBindings"] = {f"{SERVED}/{p}": to for p in protocols}

    def _start(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        made = self.engine.call("POST", f"/containers/create?name={PREFIX}-{name}", body)["Id"]
        try:
            self.engine.call("POST", f"/containers/{made}/start")
        except RuntimeError:
            self.engine.call("DELETE", f"/containers/{made}?force=1")
            raise
        self._containers.append(made)
        found: dict[str, Any] = self.engine.call("GET", f"/containers/{made}/json")
        return found

    def _find_addresses(self, kind: Kind, name: str, found: Mapping[str, Any]) -> None:
        network = f"{PREFIX}-{name if name.endswith('.far') else kind.name}" if kind.name != "bridge" else "bridge"
        settings = found["NetworkSettings"]["Networks"][network]
        self.addresses[name] = {4: settings["IPAddress"], 6: settings["GlobalIPv6Address"]}
        if kind.name == "bridge":
            self.gateways["bridge"] = {4: settings["Gateway"], 6: ""}

    def _route(self) -> None:
        """Ways out of internal networks, as with NET_ADMIN a container makes itself one; and into isolated ones."""
        for name, place in self.places.items():
            kind = KINDS.get(name.partition(".")[0])
            if kind is None or not kind.internal:
                continue
            network = name if name.endswith(".far") else kind.name
            for family in (4, 6):
                gateway = self.gateways[network][family]
                if "isolated" in kind.modes:  # nobody has the address: by the bridge's MAC packets come to the host
                    mac = json.loads(self.host.run("ip", "-j", "link", "show", _bridge(network)))[0]["address"]
                    _ip(place, f"-{family} neigh replace {gateway} lladdr {mac} dev eth0 nud permanent")
                _ip(place, f"-{family} route replace default via {gateway} dev eth0")
        for network in ("isolated", "isolated.far"):
            number = self._numbers[network]
            _ip(self.host, f"route add 10.77.{number}.0/24 dev {_bridge(network)} table 77")
            if self.host.sysctl(f"net/ipv6/conf/{_bridge(network)}/disable_ipv6") == "0":
                _ip(self.host, f"-6 route add fd00:77:{number}::/64 dev {_bridge(network)} table 77")
        for family in (4, 6):
            _ip(self.host, f"-{family} rule add not iif lo lookup 77 priority 77")  # for what is forwarded alone
            self._stack.callback(_ip, self.host, f"-{family} rule del priority 77")


def _bridge(network: str) -> str:
    return f"{PREFIX}-{network}"


def _ip(place: Netns, *commands: str) -> None:
    for family in ("-4", "-6"):
        batch = [c.removeprefix("-6 ").removeprefix("-4 ") for c in commands if c.startswith("-6") == (family == "-6")]
        if batch:
            place.run("ip", family, "-batch", "-", stdin="\n".join([*batch, ""]))


def _tentative() -> bool:
    """Is an IPv6 address not yet sure (IFA_F_TENTATIVE)?"""
    with Path("/proc/thread-self/net/if_inet6").open() as lines:
        return any(int(line.split()[4], 16) & 0x40 for line in lines)


def _eth0() -> int:
    return {name: index for index, name in socket.if_nameindex()}.get("eth0", 0)


def _own_addresses(place: Netns) -> set[str]:
    return {a["local"] for link in json.loads(place.run("ip", "-j", "addr")) for a in link.get("addr_info", ()) if a}
