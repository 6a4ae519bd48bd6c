"""Rows in memory: for tests, and for a daemon that shall forget everything."""

from __future__ import annotations

from collections.abc import Sequence


class MemoryStore:
    """The same contract as `SqliteStore`, for as long as the object lives."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, bytes]] = {}

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]], *, durable: bool) -> None:
        """Put (table, key, body) or delete (body None), in order; `durable` makes no difference here."""
        for table, key, body in changes:
            rows = self._tables.setdefault(table, {})
            if body is None:
                rows.pop(key, None)
            else:
                rows[key] = body

    def load(self, table: str) -> dict[str, bytes]:
        """A copy of every row of a table, sorted by key."""
        return dict(sorted(self._tables.get(table, {}).items()))

    def close(self) -> None:
        """Nothing to release."""
