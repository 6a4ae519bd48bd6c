"""Verdicts as text: for people, the kinds of network beside each other; for the record, a line for each way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .cells import KINDS, LONELY, PROTOCOLS, Cell

Verdicts = Mapping[Cell, str]
Row = tuple[str, str, str]  # network, source, target
UNTRIED = "?"

LEGEND = """\
Each row asks from a source for a target, relative to the network of its column. `a` stands for both families, `a/b`
for IPv4 and IPv6, nothing for what there is not.
  -        nothing arrives
  own      answered; the target sees the source's own address
  gateway  answered; it sees the gateway of its own network
  asked    answered; it sees the address that was asked for
  uplink   answered; it sees the host's address towards it
  other    answered; it sees the host's address that the network names
  …!       arrives, but no answer comes back
  ?        not tried"""


def shown(verdicts: Verdicts) -> str:
    """All of them, rows of protocols with equal verdicts put together."""
    columns = [*KINDS, *LONELY]
    lines: list[tuple[str, ...]] = [("from", "to", "by", *columns)]
    for source, target in dict.fromkeys((c.source, c.target) for c in verdicts):
        rows: dict[tuple[str, ...], list[str]] = {}
        for protocol in PROTOCOLS:
            words = tuple(_families(verdicts, Cell(n, source, target, protocol, 4)) for n in columns)
            if any(words):
                rows.setdefault(words, []).append(protocol)
        lines += [(source, target, " ".join(protocols), *words) for words, protocols in rows.items()]
    return _aligned(lines)


def beside(left: Verdicts, right: Verdicts) -> dict[Cell, str]:
    """Where both were tried and differ: `left≠right`."""
    return {
        cell: f"{verdict}≠{right[cell]}"
        for cell, verdict in left.items()
        if right.get(cell, UNTRIED) != UNTRIED != verdict and right[cell] != verdict
    }


def _families(verdicts: Verdicts, cell: Cell) -> str:
    four, six = verdicts.get(cell), verdicts.get(cell._replace(family=6))
    if four == six:
        return four or ""
    return f"{four or ''}/{six or ''}"


def record(verdicts: Verdicts, title: str) -> str:
    """Text that `recorded` reads: a line for each way, IPv4/IPv6 for each protocol."""
    rows = dict.fromkeys((c.network, c.source, c.target) for c in verdicts)
    lines: list[tuple[str, ...]] = [("# network", "source", "target", *PROTOCOLS)]
    lines += [
        (*row, *("/".join(verdicts.get(Cell(*row, p, f), ".") for f in (4, 6)) for p in PROTOCOLS)) for row in rows
    ]
    return f"# {title}\n{_aligned(lines)}"


def recorded(text: str) -> dict[Cell, str]:
    """What `record` wrote."""
    return dict(_cells(line for line in text.splitlines() if not line.startswith("#")))


def _cells(lines: Iterable[str]) -> Iterator[tuple[Cell, str]]:
    for line in lines:
        network, source, target, *pairs = (word.strip() for word in line.split("  ") if word.strip())
        for protocol, pair in zip(PROTOCOLS, pairs, strict=True):
            for family, verdict in zip((4, 6), pair.split("/"), strict=True):
                if verdict != ".":
                    yield Cell(network, source, target, protocol, family), verdict


def _aligned(lines: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )
