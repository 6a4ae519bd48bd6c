"""What `--ipam-driver dhcp` takes: its options, and the parts of a request that a server decides about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from msgspec import Struct

from netloom.ipam.validate import asks_for_any, check_config, parse_address
from netloom.model.errors import InvalidArgument, Unsupported
from netloom.model.lease import Terms
from netloom.model.network import Network, NetworkRequest

DRIVER = "dhcp"
KNOWN = ("hostname", "server", "timeout")
DEFAULT_TIMEOUT = 15  # seconds
_LONGEST = 120
_SPEAKS = ("bridge", "macvlan", "ipvlan")


class DhcpOptions(Struct, frozen=True):
    """What the options mean. `servers` empty: any server."""

    timeout: int = DEFAULT_TIMEOUT  # seconds until the start of a container fails
    servers: tuple[str, ...] = ()
    hostname: bool = True  # is the server told the container's hostname?

    @staticmethod
    def parse(options: Mapping[str, str]) -> DhcpOptions:
        """Raises InvalidArgument for an unknown option or value."""
        if unknown := sorted(options.keys() - set(KNOWN)):
            raise InvalidArgument(
                f"unknown option of the IPAM driver dhcp: {', '.join(unknown)}", remedy=f"there are {', '.join(KNOWN)}"
            )
        timeout = options.get("timeout", str(DEFAULT_TIMEOUT))
        if not timeout.isascii() or not timeout.isdecimal() or not 1 <= int(timeout[:9]) <= _LONGEST:
            raise InvalidArgument(f"invalid timeout of the IPAM driver dhcp: {timeout}", remedy=f"1 to {_LONGEST} s")
        servers = tuple(filter(None, options.get("server", "").replace(",", " ").split()))
        for server in servers:
            if not isinstance(parse_address(server), IPv4Address):
                raise InvalidArgument(f"invalid server of the IPAM driver dhcp: {server}", remedy="name IPv4 addresses")
        told = options.get("hostname", "true")
        if told not in ("true", "false"):
            raise InvalidArgument(f"invalid hostname of the IPAM driver dhcp: {told}", remedy="true or false")
        return DhcpOptions(int(timeout), servers, told == "true")


def by_dhcp(network: Network) -> bool:
    """Do its endpoints have their addresses from a server of the LAN?"""
    return network.ipam_driver == DRIVER and not network.config_only


def check_request(request: NetworkRequest) -> None:
    """Raises InvalidArgument or Unsupported for what cannot be with addresses from a server."""
    DhcpOptions.parse(request.ipam_options or {})
    if request.driver not in _SPEAKS:
        raise InvalidArgument(f"the {request.driver} driver has no link on which to speak DHCP")
    if request.ipv6:
        raise Unsupported(
            "the IPAM driver dhcp gives IPv4 addresses alone", remedy="leave out --ipv6, or use the IPAM driver default"
        )
    if not request.ipv4:
        raise InvalidArgument("the IPAM driver dhcp needs IPv4", remedy="leave out --ipv4=false")
    if (mode := request.options.get("ipvlan_mode", "l2")) not in ("", "l2") and request.driver == "ipvlan":
        raise InvalidArgument(
            f"the IPAM driver dhcp cannot work in ipvlan mode {mode}, which has no broadcast", remedy="use mode l2"
        )
    if request.options.get("host_access", "false") != "false":
        raise Unsupported(
            "host_access needs an address of its own, which the IPAM driver dhcp does not ask for",
            remedy="leave out one of both",
        )
    check_config(request.ipam_config, ipv6=False)
    for entry in request.ipam_config:
        if ":" in entry.subnet or asks_for_any(entry.subnet):
            raise InvalidArgument(f"the IPAM driver dhcp cannot give addresses of {entry.subnet}")
        if entry.aux:
            raise InvalidArgument(
                "the IPAM driver dhcp has no auxiliary addresses", remedy="the server knows who has which address"
            )


def client_id(network: str, container: str) -> bytes:
    """Option 61 of a container on a network, the same for its whole life: an IAID and a DUID-UUID (RFC 4361, 6355)."""
    iaid = sha256(f"netloom {network}".encode()).digest()[:4]
    return b"\xff" + iaid + b"\x00\x04" + sha256(f"netloom {network} {container}".encode()).digest()[:16]


def outside(network: Network, terms: Terms, asked: str) -> str:
    """Why terms do not fit what the user said of the network, completing "the server …"; empty: they do."""
    options = DhcpOptions.parse(network.ipam_options or {})
    address = IPv4Interface(terms.address)
    if options.servers and terms.server not in options.servers:
        return f"is none of those that network {network.name} listens to (--ipam-opt server)"
    if asked and str(address.ip) != asked:
        return f"offers {address.ip} where {asked} was asked for (--ip)"
    if network.requested and not any(address.ip in IPv4Network(e.subnet) for e in network.requested):
        return f"offers {address.ip}, which lies outside of {_listed([e.subnet for e in network.requested])}"
    ranges = [e.ip_range for e in network.requested if e.ip_range and address.ip in IPv4Network(e.subnet)]
    if ranges and not any(address.ip in IPv4Network(r) for r in ranges):
        return f"offers {address.ip}, which lies outside of {_listed(ranges)}"
    return ""


def gateway(network: Network, terms: Terms) -> str:
    """The container's router: the user's (--gateway), else the server's."""
    address = IPv4Interface(terms.address).ip
    own = [e.gateway for e in network.requested if e.gateway and address in IPv4Network(e.subnet)]
    return (*own, *terms.routers, "")[0]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
