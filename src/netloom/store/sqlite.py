"""Rows in SQLite: one file in the state directory, one writer."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path

from netloom.model.errors import Exhausted, Failed, NetloomError
from netloom.store.lock import DirectoryLock

NAME = "netloom.db"
SCHEMA = 2  # raised by a change that an older netloom would misread; rows of earlier ones are read as they are

_CREATE = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE rows (kind TEXT, key TEXT, body BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID",
    f"INSERT INTO meta VALUES ('schema', {SCHEMA})",
)
_PUT = "INSERT INTO rows VALUES {} ON CONFLICT DO UPDATE SET body = excluded.body"
_DELETE = "DELETE FROM rows WHERE (kind, key) IN (VALUES {})"
_ROWS = 64  # of one statement; 999 parameters are what every SQLite takes
_PAGE = 4096  # SQLite's default
_WAL_PAGES = 256  # after so many the log is written back and begun anew
_WAL_LIMIT = 4 << 20  # bytes that the log keeps on disk after a checkpoint
_PAD = "pad"


class SqliteStore:
    """Rows that survive the daemon. Used from one thread at a time; a commit is all or nothing.

    A durable commit is on the disk when it returns (and with it all before it); one that is not survives the death
    of the process, but not a power loss. Failures raise Exhausted for a full disk and Failed for the rest, and leave
    the rows as they were.
    """

    def __init__(self, directory: Path) -> None:
        """Open, creating directory and file where they are missing. Holds the directory against other daemons."""
        self.path = directory / NAME
        try:
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise Failed(f"cannot create the state directory {directory}: {reason}") from error
        self._lock = DirectoryLock(directory)
        self._connection: sqlite3.Connection | None = None
        self._lax: sqlite3.Connection | None = None  # for what need not be durable: switching one costs 30 µs a time
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]], *, durable: bool) -> None:
        """Put (table, key, body) or delete (body None), in order, all or none."""
        statements = _statements(changes)
        with self._told("save to"):
            connection = self._connected() if durable else self._lax or self._connected()
            if len(statements) == 1:  # a transaction by itself
                connection.execute(*statements[0])
                return
            with _transaction(connection):
                for statement, values in statements:
                    connection.execute(statement, values)

    def load(self, table: str) -> dict[str, bytes]:
        """Every row of a table, sorted by key."""
        connection = self._connected()
        with self._told("read"):
            return dict(connection.execute("SELECT key, body FROM rows WHERE kind = ? ORDER BY key", (table,)))

    def close(self) -> None:
        """Release file and directory. Twice is once."""
        for connection in (self._lax, self._connection):
            if connection is not None:
                # closing writes the log back; where the disk is full the log simply stays and is read next time
                with suppress(sqlite3.Error):
                    connection.close()
        self._lax = self._connection = None
        self._lock.release()

    def _open(self) -> None:
        with self._told("open"):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = self._connection = self._connect("FULL")
            if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                with _transaction(connection):
                    for statement in _CREATE:
                        connection.execute(statement)
            self._check(connection)
            self._stretch(connection)
            self._lax = self._connect("NORMAL")

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}").fetchall()
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}").fetchall()
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        return connection

    def _stretch(self, connection: sqlite3.Connection) -> None:
        """Make the log as long as it gets, once: a commit into blocks that are there already takes half the time.

        Where the disk has no room for it, commits are slower and nothing else.
        """
        with suppress(OSError):
            if os.path.getsize(f"{self.path}-wal") >= _WAL_PAGES * _PAGE:
                return
        with suppress(sqlite3.Error):
            with _transaction(connection):
                pad = (_PAD, _WAL_PAGES * _PAGE)
                connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, zeroblob(?))", pad)
            with _transaction(connection):
                connection.execute("DELETE FROM meta WHERE name = ?", (_PAD,))
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def _check(self, connection: sqlite3.Connection) -> None:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise self._damaged(verdict.splitlines()[-1])
        try:
            row = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
        except sqlite3.OperationalError:
            row = None
        if row is None:
            raise Failed(
                f"{self.path} is not a state of netloom", remedy="move the file away, or name another --state-dir"
            )
        if row[0] > SCHEMA:
            raise Failed(
                f"{self.path} was written by a newer netloom (its schema is {row[0]}, this one knows {SCHEMA})",
                remedy="start that version again, or move the file away to begin anew",
            )
        if row[0] < SCHEMA:
            connection.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (SCHEMA,))

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise Failed(f"{self.path} is closed")
        return self._connection

    @contextmanager
    def _told(self, operation: str) -> Iterator[None]:
        """Turn the library's failures into ours, naming file and operation."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._failure(operation, error) from error
        except OSError as error:
            raise Failed(f"cannot {operation} {self.path}: {(error.strerror or str(error)).lower()}") from error

    def _failure(self, operation: str, error: sqlite3.Error) -> NetloomError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code, without what extends it
        directory = self.path.parent
        match code:
            case sqlite3.SQLITE_FULL:
                return Exhausted(
                    f"cannot {operation} {self.path}: the disk is full", remedy=f"free some space below {directory}"
                )
            case sqlite3.SQLITE_READONLY:
                return Failed(f"cannot {operation} {self.path}: it is read-only", remedy=f"make {directory} writable")
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return self._damaged(str(error))
            case _:
                return Failed(f"cannot {operation} {self.path}: {error}")

    def _damaged(self, detail: str) -> NetloomError:
        return Failed(
            f"{self.path} is damaged ({detail})",
            remedy="put back a copy, or move the file away to begin anew",
        )


def _statements(changes: Sequence[tuple[str, str, bytes | None]]) -> list[tuple[str, list[str | bytes]]]:
    """The changes as few statements, in order: each one lets go of the interpreter lock, and has to get it back."""
    found: list[tuple[str, list[str | bytes]]] = []
    for deleted, run in groupby(changes, key=lambda change: change[2] is None):
        same = list(run)
        for start in range(0, len(same), _ROWS):
            part = same[start : start + _ROWS]
            text, row = (_DELETE, "(?, ?)") if deleted else (_PUT, "(?, ?, ?)")
            values = [value for change in part for value in change if value is not None]
            found.append((text.format(", ".join([row] * len(part))), values))
    return found


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # some failures have rolled back already, and then there is nothing to do
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
