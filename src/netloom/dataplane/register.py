"""Ports of the host by protocol, address and number, found as fast by whom they belong to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Generic, Protocol, Self, TypeAlias, TypeVar

from netloom.model.spans import Spans

Key: TypeAlias = tuple[str, str, int]  # proto, ip, port


class Owned(Protocol):
    """A held or a relayed port."""

    @property
    def proto(self) -> str: ...
    @property
    def ip(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def owner(self) -> str: ...
    @property
    def sandbox(self) -> str: ...
    def part(self, first: int, width: int) -> Self: ...


R = TypeVar("R", bound=Owned)
V = TypeVar("V")


def key(port: Owned) -> Key:
    """What no two ports share: of several side by side, that of the first."""
    return (port.proto, port.ip, port.port)


class Register(Generic[R, V]):
    """Ports with a value each. No operation looks at more than is asked for."""

    def __init__(self) -> None:
        self._rows: dict[Key, tuple[R, V]] = {}
        self._spans: dict[tuple[str, str], Spans[None]] = {}
        self._of_owner: dict[str, dict[Key, None]] = {}
        self._of_sandbox: dict[str, dict[Key, None]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[R, V]]:
        return iter(self._rows.values())

    def get(self, where: Key) -> tuple[R, V] | None:
        """The port that begins there, and its value."""
        return self._rows.get(where)

    def over(self, proto: str, ip: str, first: int, width: int = 1) -> list[tuple[R, V]]:
        """Those of which one lies among so many ports, ascending."""
        spans = self._spans.get((proto, ip))
        return [self._rows[proto, ip, start] for start, _, _ in spans.over(first, width)] if spans else []

    def missing(self, port: R) -> list[R]:
        """What of it is not there."""
        spans = self._spans.get((port.proto, port.ip))
        if spans is None:
            return [port]
        return [port.part(first, width) for first, width in spans.missing(port.port, port.width)]

    def put(self, port: R, value: V) -> None:
        """Add or replace; what is left of those that it replaces in part keeps its value."""
        self.take(port)
        where = key(port)
        self._rows[where] = (port, value)
        self._spans.setdefault(where[:2], Spans()).put(port.port, port.width, None)
        self._of_owner.setdefault(port.owner, {})[where] = None
        if port.sandbox:
            self._of_sandbox.setdefault(port.sandbox, {})[where] = None

    def take(self, port: R) -> list[R]:
        """Forget these ports, whoever has them; what they were. What is left beside them keeps its value."""
        taken = []
        first, end = port.port, port.port + port.width
        for row, value in self.over(port.proto, port.ip, first, port.width):
            self.pop(key(row))
            last = row.port + row.width
            if row.port < first:
                self.put(row.part(row.port, first - row.port), value)
            if last > end:
                self.put(row.part(end, last - end), value)
            begin = max(first, row.port)
            taken.append(row.part(begin, min(end, last) - begin))
        return taken

    def cut(self, where: Key, only: Collection[Key]) -> list[R]:
        """Forget those of `only` that lie in what begins there; what they were."""
        row = self._rows.get(where)
        if row is None:
            return []
        port = row[0]
        if port.width == 1:
            return self.take(port) if where in only else []
        numbers = sorted(n for proto, ip, n in only if (proto, ip) == where[:2] and 0 <= n - port.port < port.width)
        return [gone for first, width in _beside(numbers) for gone in self.take(port.part(first, width))]

    def pop(self, where: Key) -> tuple[R, V] | None:
        """Forget what begins there; what it was."""
        row = self._rows.pop(where, None)
        if row is not None:
            port = row[0]
            spans = self._spans[where[:2]]
            spans.pop(port.port)
            if not spans:
                del self._spans[where[:2]]
            for index, name in ((self._of_owner, port.owner), (self._of_sandbox, port.sandbox)):
                keys = index.get(name)
                if keys is not None:
                    keys.pop(where, None)
                    if not keys:
                        del index[name]
        return row

    def count(self, owner: str) -> int:
        """How many ports the owner has."""
        return sum(self._rows[where][0].width for where in self._of_owner.get(owner, ()))

    def of(self, *, owner: str = "", sandbox: str = "") -> list[Key]:
        """The ports of an owner, or of a sandbox."""
        return list(self._of_owner.get(owner, ()) if owner else self._of_sandbox.get(sandbox, ()))


def _beside(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as spans: first and how many."""
    start = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] != numbers[end - 1] + 1:
            yield numbers[start], end - start
            start = end
