"""An endpoint: one container's place in one network."""

from __future__ import annotations

from msgspec import Struct, field

from netloom.model.lease import Lease
from netloom.model.network import Status


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


class PortBinding(Struct, frozen=True):
    """One published port as it stands in the kernel. `host_ip` is an address, 0.0.0.0 or ::."""

    proto: str  # tcp, udp, sctp
    container_port: int
    host_ip: str
    host_port: int


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
