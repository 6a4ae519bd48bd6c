"""What the daemon's options mean to the engine; `daemon` builds it from flags and files."""

from __future__ import annotations

from msgspec import Struct


class Settings(Struct, frozen=True, kw_only=True):
    """Resolved options. Addresses and CIDRs are text; empty means the default."""

    state_dir: str
    run_dir: str
    instance: str  # 8 hex digits, kept in the state directory
    name: str = ""  # the host's name
    cpus: int = 0  # how many the host has; 0: not known
    bip: str = ""  # 172.17.0.1/16
    bip6: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    ipv6: bool = False  # on the default bridge
    mtu: int = 0  # of the default bridge; 0: that of the default route's interface
    cooperate: bool = False  # published ports are reached from outside where the host's INPUT lets them in
    host_ip: str = ""  # default address of published ports
    icc: bool = True
    ip_masq: bool = True
    ip_forward: bool = True
    default_pools: tuple[tuple[str, int], ...] = ()  # (base CIDR, size)
    default_network_opts: tuple[tuple[str, str, str], ...] = ()  # (driver, key, value)
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    host_gateway_ips: tuple[str, ...] = ()


DEFAULT_BRIDGE = "netloom0"
