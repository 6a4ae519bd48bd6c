"""Numbers side by side as one value: ten thousand ports cost what one costs."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")


class Spans(Generic[V]):
    """Spans that do not overlap, each with a value. Looking one up does not depend on how wide they are."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._rows: dict[int, tuple[int, V]] = {}  # by first number: width and value

    def __len__(self) -> int:
        return len(self._firsts)

    def put(self, first: int, width: int, value: V) -> None:
        """Add one. Raises ValueError when it overlaps another."""
        for there, _, _ in self.over(first, width):
            raise ValueError(f"{first} and {width - 1} more: {there} is there already")
        insort(self._firsts, first)
        self._rows[first] = (width, value)

    def pop(self, first: int) -> V | None:
        """Forget the one that begins there; its value."""
        row = self._rows.pop(first, None)
        if row is None:
            return None
        del self._firsts[bisect_right(self._firsts, first) - 1]
        return row[1]

    def at(self, number: int) -> V | None:
        """The value of the one that the number lies in."""
        return next((value for _, _, value in self.over(number, 1)), None)

    def over(self, first: int, width: int) -> Iterator[tuple[int, int, V]]:
        """Those of which a part lies in this span, ascending: first number, width, value."""
        place = max(bisect_right(self._firsts, first) - 1, 0)
        while place < len(self._firsts) and (start := self._firsts[place]) < first + width:
            wide, value = self._rows[start]
            if start + wide > first:
                yield start, wide, value
            place += 1

    def missing(self, first: int, width: int) -> list[tuple[int, int]]:
        """What of this span lies in none of them, ascending: first number and width."""
        rest = []
        at, end = first, first + width
        for start, wide, _ in self.over(first, width):
            if start > at:
                rest.append((at, start - at))
            at = start + wide
        if at < end:
            rest.append((at, end - at))
        return rest
