"""The daemon's configuration, resolved, and what must hold between its parts."""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import ip_address, ip_interface, ip_network

from msgspec import Struct

from netloom.daemon.values import NetworkOption, Pool
from netloom.engine.settings import Settings
from netloom.model.errors import InvalidArgument

SOCKET_PATH_MAX = 107  # bytes: sun_path of unix(7), less its NUL
MTU_MIN, MTU_MIN_IPV6, MTU_MAX = 68, 1280, 65535  # RFC 791, RFC 8200 section 5; ETH_MAX_MTU of the kernel


class Config(Struct, frozen=True, kw_only=True):
    """Every option, resolved. Empty text, 0 and an empty tuple mean the default that the engine chooses."""

    socket: str = "/run/netloom/netloom.sock"
    group: str = ""
    state_dir: str = "/var/lib/netloom"
    run_dir: str = "/run/netloom"
    tcp: tuple[str, int] | None = None
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""
    bip: str = ""
    bip6: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    mtu: int = 0
    ip: str = ""
    publish: str = "open"
    icc: bool = True
    ipv6: bool = False
    ip_masq: bool = True
    ip_forward: bool = True
    default_address_pools: tuple[Pool, ...] = ()
    default_network_opts: tuple[NetworkOption, ...] = ()
    dns: tuple[str, ...] = ()
    dns_opts: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    host_gateway_ips: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: str = "text"
    passed_over: tuple[str, ...] = ()  # keys of daemon.json that mean nothing here; to be logged once

    def settings(self, *, instance: str, name: str) -> Settings:
        """What the engine needs of it."""
        return Settings(
            state_dir=self.state_dir,
            run_dir=self.run_dir,
            instance=instance,
            name=name,
            bip=self.bip,
            bip6=self.bip6,
            fixed_cidr=self.fixed_cidr,
            fixed_cidr_v6=self.fixed_cidr_v6,
            default_gateway=self.default_gateway,
            ipv6=self.ipv6,
            mtu=self.mtu,
            host_ip=self.ip,
            cooperate=self.publish == "cooperate",
            icc=self.icc,
            ip_masq=self.ip_masq,
            ip_forward=self.ip_forward,
            default_pools=tuple((pool.base, pool.size) for pool in self.default_address_pools),
            default_network_opts=tuple((o.driver, o.key, o.value) for o in self.default_network_opts),
            dns=self.dns,
            dns_options=self.dns_opts,
            dns_search=self.dns_search,
            host_gateway_ips=self.host_gateway_ips,
        )


def check(config: Config) -> None:
    """Refuse what no single value shows."""
    for find in CHECKS:
        if (fault := find(config)) is not None:
            sentence, remedy = fault
            raise InvalidArgument(sentence, remedy=remedy)


Fault = tuple[str, str]


def _tcp_is_mutual_tls(config: Config) -> Fault | None:
    files = {"--tlscacert": config.tlscacert, "--tlscert": config.tlscert, "--tlskey": config.tlskey}
    if config.tcp is None:
        given = [flag for flag, file in files.items() if file]
        return (f"{', '.join(given)}: there is no TCP socket", "add --tcp HOST:PORT") if given else None
    if lacking := [flag for flag, file in files.items() if not file]:
        return (
            f"--tcp needs {', '.join(lacking)} too: who reaches a socket that asks for no certificate is root here",
            "give all three files, or use the unix socket",
        )
    return None


def _socket_fits(config: Config) -> Fault | None:
    length = len(os.fsencode(config.socket))
    if length <= SOCKET_PATH_MAX:
        return None
    return (
        f"--socket: the path is {length} bytes long, a unix socket's may have {SOCKET_PATH_MAX}",
        "choose a shorter one",
    )


def _mtu_is_possible(config: Config) -> Fault | None:
    least = MTU_MIN_IPV6 if config.ipv6 else MTU_MIN
    if config.mtu == 0 or least <= config.mtu <= MTU_MAX:
        return None
    return f"invalid default MTU: {config.mtu}", f"--mtu takes {least} to {MTU_MAX} bytes, or 0 for that of the uplink"


def _bridge_parts_fit(config: Config) -> Fault | None:
    for bip, cidr, flag in ((config.bip, config.fixed_cidr, ""), (config.bip6, config.fixed_cidr_v6, "-v6")):
        if bip and cidr and not _within(cidr, bip):
            own = "--bip6" if flag else "--bip"
            return (
                f"--fixed-cidr{flag}: {cidr} is not part of {own}'s subnet {ip_interface(bip).network}",
                "choose a part",
            )
    if (
        config.bip
        and config.default_gateway
        and ip_address(config.default_gateway) not in ip_interface(config.bip).network
    ):
        return (
            f"--default-gateway: {config.default_gateway} is not in --bip's subnet {ip_interface(config.bip).network}",
            "a gateway must be a neighbour",
        )
    return None


def _within(part: str, whole: str) -> bool:
    inner, outer = ip_network(part), ip_interface(whole).network
    return inner.prefixlen >= outer.prefixlen and inner.overlaps(outer)


def _pools_are_apart(config: Config) -> Fault | None:
    seen: list[Pool] = []
    for pool in config.default_address_pools:
        for other in seen:
            if ip_network(pool.base).overlaps(ip_network(other.base)):
                return f"--default-address-pool: {pool.base} overlaps {other.base}", "give each address to one pool"
        seen.append(pool)
    return None


def _one_host_gateway_a_family(config: Config) -> Fault | None:
    families = [ip_address(address).version for address in config.host_gateway_ips]
    for version in (4, 6):
        if families.count(version) > 1:
            return f"only one IPv{version} host gateway IP address can be specified", "give --host-gateway-ip once"
    return None


CHECKS: tuple[Callable[[Config], Fault | None], ...] = (
    _tcp_is_mutual_tls,
    _socket_fits,
    _mtu_is_possible,
    _bridge_parts_fit,
    _pools_are_apart,
    _one_host_gateway_a_family,
)
