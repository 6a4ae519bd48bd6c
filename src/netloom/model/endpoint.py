"""An endpoint: one container's place in one network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from netloom.model.lease import Lease
from netloom.model.network import Status
from netloom.model.spans import Spans

SYSCTLS = "com.docker.network.endpoint.sysctls"  # driver option: those of its interface, IFNAME in its place


class EndpointIpam(Struct, frozen=True, omit_defaults=True):
    """Addresses that the user asked for, in Docker's JSON names."""

    ipv4: str = field(default="", name="IPv4Address")
    ipv6: str = field(default="", name="IPv6Address")
    link_local: tuple[str, ...] = field(default=(), name="LinkLocalIPs")


class EndpointConfig(Struct, frozen=True):
    """What the user asked of an endpoint (the input half of Docker's EndpointSettings)."""

    ipam: EndpointIpam | None = field(default=None, name="IPAMConfig")
    links: tuple[str, ...] | None = field(default=None, name="Links")
    aliases: tuple[str, ...] | None = field(default=None, name="Aliases")
    driver_opts: dict[str, str] | None = field(default=None, name="DriverOpts")
    gw_priority: int = field(default=0, name="GwPriority")
    mac: str = field(default="", name="MacAddress")
    # What inspect goes on telling after the endpoint itself has ended.
    network_id: str = field(default="", name="NetworkID")
    dns_names: tuple[str, ...] | None = field(default=None, name="DNSNames")
    leased: str = ""  # the last address that a DHCP server gave: asked for at the next start


class PortBinding(Struct, frozen=True, omit_defaults=True):
    """A published port as it stands in the kernel, or many side by side. `host_ip` is an address, 0.0.0.0 or ::."""

    proto: str  # tcp, udp, sctp
    container_port: int
    host_ip: str
    host_port: int  # 0: none of the host's
    width: int = 1  # how many, from these two numbers on

    @property
    def family(self) -> int:
        """That of the host's address: 4 or 6."""
        return 6 if ":" in self.host_ip else 4

    def part(self, offset: int, width: int) -> PortBinding:
        """Some of the ports, from so many after the first one on."""
        if (offset, width) == (0, self.width):
            return self
        host_port = self.host_port + offset if self.host_port else 0
        return PortBinding(self.proto, self.container_port + offset, self.host_ip, host_port, width)

    def each(self) -> Iterator[PortBinding]:
        """Every port by itself."""
        return (self.part(offset, 1) for offset in range(self.width))


def without(ports: Iterable[PortBinding], gone: Iterable[PortBinding]) -> tuple[PortBinding, ...]:
    """What remains of ports when others have gone."""
    cuts: dict[tuple[str, str, int | None], Spans[None]] = {}
    for one in gone:
        cut = cuts.setdefault(_way(one), Spans())
        for first, width in cut.missing(one.container_port, one.width):
            cut.put(first, width, None)
    nothing: Spans[None] = Spans()
    return tuple(
        port.part(first - port.container_port, width)
        for port in ports
        for first, width in cuts.get(_way(port), nothing).missing(port.container_port, port.width)
    )


def _way(port: PortBinding) -> tuple[str, str, int | None]:
    """What all ports side by side have in common."""
    return port.proto, port.host_ip, port.host_port - port.container_port if port.host_port else None


class Endpoint(Struct, frozen=True, kw_only=True):
    """What was allotted; kept while the sandbox lives. Addresses are text with prefix length, or empty."""

    id: str
    network: str  # network id
    container: str  # container id
    number: int  # unique for ever: the host interface's index derives from it
    host_name: str  # the host's end of the veth pair
    inner_name: str  # eth0 …
    inner_index: int
    mac: str
    ipv4: str = ""  # 172.18.0.2/16
    ipv6: str = ""
    gateway4: str = ""  # the network's gateway, whether or not the default route goes there
    gateway6: str = ""
    link_local: tuple[str, ...] = ()
    on_link: bool = False  # its default routes name the interface and no gateway
    default4: bool = False  # the container's default route leaves by this endpoint
    default6: bool = False
    dns_names: tuple[str, ...] = ()  # name, aliases, short id, hostname: as inspect lists them
    ports: tuple[PortBinding, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()  # (path below /proc/sys with dots, value), in the sandbox
    sandbox: str = ""  # sandbox id: where its inner objects stand
    further: tuple[str, ...] = ()  # addresses from which it may send as well, as its user says
    routing: bool = False  # its user gave it NET_ADMIN: it may send from any address, being a router
    lease: Lease | None = None  # whence it has its address, where that came by DHCP
    status: Status = Status.PENDING
