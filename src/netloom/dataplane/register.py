"""Ports of the host by protocol, address and number, found as fast by whom they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeAlias, TypeVar

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
    def owner(self) -> str: ...
    @property
    def sandbox(self) -> str: ...


R = TypeVar("R", bound=Owned)
V = TypeVar("V")


def key(port: Owned) -> Key:
    """What no two ports share."""
    return (port.proto, port.ip, port.port)


class Register(Generic[R, V]):
    """Ports with a value each. No operation looks at more than is asked for."""

    def __init__(self) -> None:
        self._rows: dict[Key, tuple[R, V]] = {}
        self._of_owner: dict[str, dict[Key, None]] = {}
        self._of_sandbox: dict[str, dict[Key, None]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[R, V]]:
        return iter(self._rows.values())

    def get(self, where: Key) -> tuple[R, V] | None:
        """The port there, and its value."""
        return self._rows.get(where)

    def put(self, port: R, value: V) -> None:
        """Add or replace."""
        where = key(port)
        self.pop(where)
        self._rows[where] = (port, value)
        self._of_owner.setdefault(port.owner, {})[where] = None
        if port.sandbox:
            self._of_sandbox.setdefault(port.sandbox, {})[where] = None

    def pop(self, where: Key) -> tuple[R, V] | None:
        """Forget the port there; what it was."""
        row = self._rows.pop(where, None)
        if row is not None:
            port = row[0]
            for index, name in ((self._of_owner, port.owner), (self._of_sandbox, port.sandbox)):
                keys = index.get(name)
                if keys is not None:
                    keys.pop(where, None)
                    if not keys:
                        del index[name]
        return row

    def count(self, owner: str) -> int:
        """How many ports the owner has."""
        return len(self._of_owner.get(owner, ()))

    def of(self, *, owner: str = "", sandbox: str = "") -> list[Key]:
        """The ports of an owner, or of a sandbox."""
        return list(self._of_owner.get(owner, ()) if owner else self._of_sandbox.get(sandbox, ()))
