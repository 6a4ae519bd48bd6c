"""Settings of the host that drop what its networks let through: found in its facts, said with what helps."""

from __future__ import annotations

from collections.abc import Iterable

from netloom.model.desired import HostFacts, Sysctl
from netloom.model.finding import Finding

STRICT = "1"  # of rp_filter: a source must be routed by the interface that it came in by (RFC 3704, 2.2)


def rp_filter(link: str) -> str:
    """The setting of an interface; the larger of its and of `all` holds."""
    return f"net/ipv4/conf/{link}/rp_filter"


def strict_filters(facts: HostFacts) -> list[Finding]:
    """Uplinks that drop what the host would answer by another one. A host with one uplink answers by that."""
    if len(facts.uplinks) < 2:
        return []
    now = dict(facts.sysctls)
    everywhere = now.get(rp_filter("all"), "0")
    return [
        Finding(
            kind="reverse path filter",
            between=("published ports and routed networks", f"{link}, which has a strict rp_filter"),
            effect=f"what comes in by {link} from clients to whom the host's route leads by another uplink is dropped",
            remedy=f"make it loose: sysctl -w net.ipv4.conf.{link}.rp_filter=2, and the same in /etc/sysctl.d",
        )
        for link in facts.uplinks
        if max(everywhere, now.get(rp_filter(link), "0")) == STRICT
    ]


def switched_off(wanted: Iterable[Sysctl], facts: HostFacts) -> list[Finding]:
    """Forwarding that was switched on for networks, and that somebody has switched off."""
    now = dict(facts.sysctls)
    return [
        Finding(
            kind="forwarding",
            between=("netloom's networks", f"{one.path.replace('/', '.')} = {now[one.path]}"),
            effect="nothing is forwarded from or to containers there",
            remedy=f"sysctl -w {one.path.replace('/', '.')}={one.value}, or start the daemon again",
        )
        for one in wanted
        if one.path.endswith("/forwarding") and now.get(one.path, one.value) != one.value
    ]
