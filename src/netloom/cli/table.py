"""Columns aligned as Go's tabwriter does it for docker: at least 10 wide, 3 apart, the last one as long as it is."""

from __future__ import annotations

from collections.abc import Sequence

_LEAST = 10
_APART = 3


def aligned(lines: Sequence[str]) -> str:
    """Lines whose cells are separated by tabs, as a table."""
    rows = [line.split("\t") for line in lines]
    widths: list[int] = []
    for row in rows:
        for at, cell in enumerate(row[:-1]):
            if at == len(widths):
                widths.append(_LEAST)
            widths[at] = max(widths[at], len(cell) + _APART)
    padded = ("".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)) + row[-1] for row in rows)
    return "".join(line + "\n" for line in padded)
