"""The pools from which subnets are chosen when nobody names one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeAlias

from msgspec import Struct

from netloom.ipam.intervals import Intervals
from netloom.model.errors import InvalidArgument

Subnet: TypeAlias = IPv4Network | IPv6Network


class Pool(Struct, frozen=True):
    """Addresses to be split into subnets: `base` is a CIDR, `size` the prefix length of each subnet.

    Pools of a higher `rank` are used when those of lower ranks are used up.
    """

    base: str
    size: int
    rank: int = 0


# 15 of /16 and 16 of /20, lowest first, as Docker has them; 172.17.0.0/16 is what the default bridge takes. Where
# Docker's 31 networks end, 16,384 more follow: in a part of 10.0.0.0/8 that others seldom begin with.
DEFAULT_POOLS = (
    *(Pool(f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    Pool("192.168.0.0/16", 20),
    Pool("10.192.0.0/10", 24, rank=1),
)


def ula_pool(seed: bytes) -> Pool:
    """65,536 subnets of /64 in a /48 of unique local addresses (RFC 4193, section 3.2.1): `seed` gives the 40 bits.

    The seed is this host's for ever, so that its networks keep their prefix and differ from other hosts' networks.
    """
    if len(seed) < 5:
        raise ValueError("a unique local prefix needs 5 bytes of seed")
    prefix = b"\xfd" + seed[:5] + bytes(10)
    return Pool(str(IPv6Network((prefix, 48))), 64)


def parse_pool(text: str) -> Pool:
    """`base=10.10.0.0/16,size=24`, as `--default-address-pool` has it."""
    base = size = ""
    for part in text.split(","):
        key, equals, value = part.partition("=")
        match key.strip().lower():
            case "base" if equals:
                base = value.strip()
            case "size" if equals:
                size = value.strip()
            case _:
                raise InvalidArgument(f"invalid field '{part}' must be a key=value pair of base and size")
    if not size.isdecimal():
        raise InvalidArgument(f"invalid size value: {size}: must be integer")
    pool = Pool(base, int(size))
    PoolList((pool,))
    return pool


class PoolList:
    """Pools of one or both families, ready to choose from."""

    def __init__(self, pools: Iterable[Pool]) -> None:
        """Raises InvalidArgument for a base that is no CIDR or a size that does not fit it."""
        checked = sorted(
            ((*_checked(pool), pool.rank) for pool in pools),
            key=lambda entry: (entry[0].version, *_bounds(entry[0])),
        )
        self._pools: dict[int, list[tuple[int, Subnet, int]]] = {4: [], 6: []}
        for base, size, rank in checked:
            kept = self._pools[base.version]
            # of overlapping pools only the first counts, or one subnet could be cut from both
            if not kept or int(kept[-1][1].broadcast_address) < int(base.network_address):
                kept.append((rank, base, size))
        for one_family in self._pools.values():
            one_family.sort(key=lambda entry: entry[0])  # stable: by address within a rank

    def choose(self, version: int, busy: Sequence[Intervals], size: int | None = None) -> Subnet | None:
        """The lowest subnet that meets nothing busy; None when all pools are used up.

        Of the pool's own size, or of the prefix length `size`: then in pools that are large enough. Steps over whole
        busy ranges, so the cost is their number in the pool, not the number of subnets.
        """
        for _, base, own_size in self._pools[version]:
            prefix = own_size if size is None else size
            if not base.prefixlen <= prefix <= base.max_prefixlen:
                continue
            first, end = _bounds(base)
            step = 1 << (base.max_prefixlen - prefix)
            while first <= end:
                met = [found for ranges in busy if (found := ranges.meeting(first, first + step - 1))]
                if not met:
                    return IPv4Network((first, prefix)) if version == 4 else IPv6Network((first, prefix))
                past = max(last for _, last in met) + 1
                first += -(-(past - first) // step) * step
        return None


def _bounds(subnet: Subnet) -> tuple[int, int]:
    return int(subnet.network_address), int(subnet.broadcast_address)


def _checked(pool: Pool) -> tuple[Subnet, int]:
    try:
        if "/" not in pool.base:
            raise ValueError("no prefix length")
        base = ip_network(pool.base)
    except ValueError as error:
        raise InvalidArgument(f"invalid base pool {pool.base!r}: {error}") from error
    if not base.prefixlen <= pool.size <= base.max_prefixlen:
        raise InvalidArgument(
            f"invalid pool {base}: the size /{pool.size} is not between /{base.prefixlen} and /{base.max_prefixlen}"
        )
    return base, pool.size
