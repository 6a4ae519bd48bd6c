"""Sets of whole numbers as sorted ranges: what is busy in an address family."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Intervals:
    """Disjoint closed ranges; those that touch are one. Look-ups are a bisection, whatever the ranges' sizes."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, first: int, last: int) -> None:
        """Everything from `first` to `last` is in the set."""
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def remove(self, first: int, last: int) -> None:
        """Nothing from `first` to `last` is in the set."""
        low = bisect_left(self._lasts, first)
        high = bisect_right(self._firsts, last)
        if low >= high:
            return
        kept = []
        if self._firsts[low] < first:
            kept.append((self._firsts[low], first - 1))
        if self._lasts[high - 1] > last:
            kept.append((last + 1, self._lasts[high - 1]))
        self._firsts[low:high] = [first for first, _ in kept]
        self._lasts[low:high] = [last for _, last in kept]

    def meeting(self, first: int, last: int) -> tuple[int, int] | None:
        """The lowest range that has a number in common with `first` … `last`."""
        at = bisect_left(self._lasts, first)
        if at < len(self._firsts) and self._firsts[at] <= last:
            return self._firsts[at], self._lasts[at]
        return None

    def ranges(self) -> list[tuple[int, int]]:
        """All of them, in order."""
        return list(zip(self._firsts, self._lasts, strict=True))
