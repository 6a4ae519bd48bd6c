"""Samples and what is said of them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence

Samples = dict[str, list[float]]


class Figures:
    """Samples by engine and by what was measured."""

    def __init__(self) -> None:
        self.samples: defaultdict[str, Samples] = defaultdict(dict)

    def add(self, engine: str, what: str, *values: float) -> None:
        self.samples[engine].setdefault(what, []).extend(values)

    def median(self, engine: str, what: str) -> float | None:
        """None where it was not measured."""
        found = self.samples[engine].get(what)
        return statistics.median(found) if found else None

    def p95(self, engine: str, what: str) -> float | None:
        found = self.samples[engine].get(what)
        return percentile(found, 0.95) if found else None


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * len(ordered)))]
