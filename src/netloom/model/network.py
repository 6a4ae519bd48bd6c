"""A network: what the user asked for and what was allotted to it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field


class Status(StrEnum):
    """Where an intent stands; written to the store before the kernel is touched."""

    PENDING = "pending"  # recorded, the kernel may hold any part of it: undone at start-up
    READY = "ready"
    DELETING = "deleting"  # finished at start-up


class IpamConfig(Struct, frozen=True, omit_defaults=True):
    """One entry of `IPAM.Config` in Docker's own JSON names; addresses and CIDRs as text."""

    subnet: str = field(default="", name="Subnet")
    ip_range: str = field(default="", name="IPRange")
    gateway: str = field(default="", name="Gateway")
    aux: dict[str, str] = field(default_factory=dict, name="AuxiliaryAddresses")


class Network(Struct, frozen=True, kw_only=True):
    """One network. `number` is unique among networks for ever: kernel numbers derive from it."""

    id: str  # 64 hex digits
    name: str
    created: int  # ns since the epoch
    driver: str
    number: int
    scope: str = "local"
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    requested: tuple[IpamConfig, ...] = ()  # as the user wrote it
    pools: tuple[IpamConfig, ...] = ()  # complete: subnet and gateway always there
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    mtu: int = 1500  # what its links really get
    bridge: str = ""  # name of the bridge interface, bridge driver only
    adopted: bool = False  # the bridge is somebody else's: it is used, never made, changed or deleted
    given: tuple[str, ...] = ()  # with prefix length: what netloom added to an adopted bridge
    lan: bool = False  # its containers are machines of a LAN, whose router is another: the host forwards nothing
    status: Status = Status.PENDING


class NetworkRequest(Struct, kw_only=True):
    """POST /networks/create, decoded."""

    name: str = ""
    driver: str = ""
    scope: str = ""
    ipv4: bool | None = None
    ipv6: bool | None = None
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    ipam_driver: str = ""
    ipam_options: dict[str, str] | None = None
    ipam_config: tuple[IpamConfig, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


PREDEFINED = ("bridge", "host", "none")
# An auxiliary address of this name is no reservation only: it is the router of the network's containers.
DEFAULT_GATEWAY = {4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6"}
