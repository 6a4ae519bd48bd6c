"""Each cell that is denied beside cells that are allowed: silence alone proves nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .cells import KINDS, LONELY, PROTOCOLS, Cell, source_place, target_place
from .rules import through_port

_BACK = {  # the way back, where there is one
    ("nat", "container"): ("sibling", "container of nat"),
    ("internal", "container"): ("sibling", "container of internal"),
    ("outside", "container"): ("sibling", "outside"),
    ("host", "container"): ("sibling", "host@gateway"),
}
_AND_BACK = _BACK | {back: there for there, back in _BACK.items()}


class Pairs:
    """Made of the cells that are allowed."""

    def __init__(self, allowed: Iterable[Cell]) -> None:
        self._allowed = set(allowed)
        self._taking_part: dict[tuple[str, str, int], Cell] = {}
        for cell in allowed:
            for place, family in ((source_place(cell), cell.family), _server(cell)):
                self._taking_part.setdefault((place, cell.protocol, family), cell)

    def of(self, cell: Cell) -> Cell | None:
        """An allowed cell of the same topology, the nearest there is; None: nothing shows that it could be otherwise.

        The same way on a network with other options; the way back; the same way by another protocol; the same target,
        asked by another source, of an IPv4-only container by IPv4.
        """
        return next((c for c in self._near(cell) if c in self._allowed), None)

    def witnesses(self, cell: Cell) -> tuple[Cell | None, Cell | None]:
        """Allowed cells in which its source takes part, and its target, by the same protocol and family."""
        place, family = _server(cell)
        return (
            self._taking_part.get((source_place(cell), cell.protocol, cell.family)),
            self._taking_part.get((place, cell.protocol, family)),
        )

    def _near(self, cell: Cell) -> Iterator[Cell]:
        for network in (*KINDS, *LONELY):
            yield cell._replace(network=network)
        if back := _AND_BACK.get((cell.source, cell.target)):
            yield cell._replace(source=back[0], target=back[1])
        for protocol in PROTOCOLS:
            for network in (cell.network, *KINDS):
                yield cell._replace(network=network, protocol=protocol)
        for source in ("sibling", "itself", "host"):
            yield cell._replace(source=source)
            yield cell._replace(source=source, target="container")
            yield cell._replace(source=source, target="container", family=4)


def _server(cell: Cell) -> tuple[str, int]:
    """The place that answers, and in which family: an IPv4-only container, asked by IPv6, in its own."""
    kind = KINDS.get(cell.network)
    if through_port(cell) and kind and not kind.ipv6:
        return target_place(cell), 4
    return target_place(cell), cell.family


def unpaired(verdicts: Mapping[Cell, str], allowed: Iterable[Cell]) -> list[Cell]:
    """Denied cells without a pair or without both witnesses."""
    pairs = Pairs(may := set(allowed))
    return [c for c in verdicts if c not in may and (pairs.of(c) is None or None in pairs.witnesses(c))]
