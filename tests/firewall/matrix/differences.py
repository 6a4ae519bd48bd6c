"""Where Docker says something else, and why we do not follow. docs/differences.md says the same, a row for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .cells import KINDS, Cell
from .rules import through_port
from .table import UNTRIED, Verdicts


class Difference(NamedTuple):
    """Cells of which Docker says `docker`, and not what `rules` expects."""

    about: Callable[[Cell], bool]
    docker: str
    why: str


DIFFERENCES = (
    Difference(
        lambda c: c.network == "open" and c.source == "far" and through_port(c),
        "-",
        "a published port is open to everybody",
    ),
    Difference(
        lambda c: through_port(c) and c.source in ("far", "nat"),
        "gateway",
        "a server sees its client, wherever that is",
    ),
    Difference(
        lambda c: through_port(c) and c.source == "internal" and c.family == 6 and not KINDS[c.network].ipv6,
        "gateway",
        "no way out of an internal network is no way",
    ),
    Difference(
        lambda c: c.source == "nat" and c.target == "container" and KINDS[c.network].mode(c.family) == "routed",
        "gateway",
        "nothing is translated on the way to a routed network",
    ),
    Difference(
        lambda c: c.network == "open" and c.source == "sibling" and c.target == "outside",
        "own!",
        "what may leave gets its answers",
    ),
)
UNTRIED_WHY = "SCTP ports: Docker opens SCTP sockets for them, which the recorded kernel has not"


def explained(cell: Cell, docker: str) -> Difference | None:
    """The first difference that is about a cell."""
    return next((d for d in DIFFERENCES if d.about(cell) and d.docker == docker), None)


def unexplained(ours: Verdicts, docker: Verdicts) -> list[str]:
    """Cells that differ for no known reason, and reasons for which none differs."""
    found = {cell: docker[cell] for cell in ours if docker.get(cell, UNTRIED) not in (UNTRIED, ours[cell])}
    reasons = {cell: explained(cell, verdict) for cell, verdict in found.items()}
    return [
        *(f"{' '.join(map(str, c))}: {ours[c]}, Docker {found[c]}" for c, reason in reasons.items() if reason is None),
        *(f"nothing differs any more: {d.why}" for d in DIFFERENCES if d not in reasons.values()),
    ]
