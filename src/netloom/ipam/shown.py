"""What inspect lists as `IPAM.Config`."""

from __future__ import annotations

from collections.abc import Sequence

from netloom.ipam.validate import parse_prefix
from netloom.model.network import IpamConfig


def shown_config(requested: Sequence[IpamConfig], pools: Sequence[IpamConfig]) -> list[IpamConfig]:
    """What the user wrote, as it was written, IPv4 first; then what was chosen for a family without any."""
    listed: list[IpamConfig] = []
    chosen: list[IpamConfig] = []
    for version in (4, 6):
        written = [entry for entry in requested if _version(entry) == version]
        listed += written
        if not written:
            chosen += [
                IpamConfig(subnet=pool.subnet, gateway=pool.gateway) for pool in pools if _version(pool) == version
            ]
    return listed + chosen


def _version(entry: IpamConfig) -> int:
    prefix = parse_prefix(entry.subnet)
    return prefix.version if prefix else 0
