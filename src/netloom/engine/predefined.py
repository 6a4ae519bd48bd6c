"""The networks that are always there: bridge, host, none."""

from __future__ import annotations

import ipaddress

from netloom.engine.core import Core
from netloom.engine.networks import Networks
from netloom.engine.settings import DEFAULT_BRIDGE, Settings
from netloom.model.network import IpamConfig, NetworkRequest

_BRIDGE = "com.docker.network.bridge."


async def establish(core: Core, networks: Networks) -> None:
    """Create those that are missing; the default bridge anew where its options have changed and nobody uses it."""
    core.facts = await core.worker.call(lambda kernel, _: kernel.facts())  # without what was just removed
    for name, driver in (("host", "host"), ("none", "null")):
        if core.tables.network_named(name) is None:
            await networks.establish(NetworkRequest(name=name, driver=driver, ipv4=True))
    wanted = default_bridge(core.settings, core.facts.default_mtu)
    standing = core.tables.network_named("bridge")
    if standing is not None and not core.tables.by_network.get(standing.id):
        same = standing.options == wanted.options and (
            not wanted.ipam_config or standing.requested == wanted.ipam_config
        )
        if not same or standing.ipv6 != wanted.ipv6:
            await networks.remove_standing(standing)
            standing = None
    if standing is None:
        await networks.establish(wanted)


def default_bridge(settings: Settings, host_mtu: int) -> NetworkRequest:
    """The request that makes the default bridge as the daemon's options want it."""
    options = {
        f"{_BRIDGE}default_bridge": "true",
        f"{_BRIDGE}enable_icc": "true" if settings.icc else "false",
        f"{_BRIDGE}enable_ip_masquerade": "true" if settings.ip_masq else "false",
        f"{_BRIDGE}host_binding_ipv4": settings.host_ip or "0.0.0.0",
        f"{_BRIDGE}name": DEFAULT_BRIDGE,
        "com.docker.network.driver.mtu": str(settings.mtu or host_mtu),
    }
    pools = []
    if settings.bip or settings.fixed_cidr:
        pools.append(_pool(settings.bip, settings.fixed_cidr, settings.default_gateway))
    if settings.ipv6 and (settings.bip6 or settings.fixed_cidr_v6):
        pools.append(_pool(settings.bip6, settings.fixed_cidr_v6, ""))
    return NetworkRequest(
        name="bridge", driver="bridge", ipv4=True, ipv6=settings.ipv6, options=options, ipam_config=tuple(pools)
    )


def _pool(bip: str, fixed: str, gateway: str) -> IpamConfig:
    """`--bip` is the bridge's own address with the network's prefix; `--fixed-cidr` the range given out."""
    interface = ipaddress.ip_interface(bip or fixed)
    network = interface.network
    return IpamConfig(
        subnet=str(network),
        ip_range=fixed if bip and fixed else "",
        gateway=gateway or (str(interface.ip) if bip else ""),
    )
