"""Rows in SQLite: one file in the state directory, one writer."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from netloom.model.errors import Exhausted, Failed, NetloomError
from netloom.store.lock import DirectoryLock

NAME = "netloom.db"
SCHEMA = 1  # raised by a change that an older netloom would misread

_CREATE = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE rows (kind TEXT, key TEXT, body BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID",
    f"INSERT INTO meta VALUES ('schema', {SCHEMA})",
)
_PUT = "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body"
_DELETE = "DELETE FROM rows WHERE kind = ? AND key = ?"
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
        self._synchronous = ""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]], *, durable: bool) -> None:
        """Put (table, key, body) or delete (body None), in order, all or none."""
        connection = self._connected()
        with self._told("save to"):
            self._set_synchronous(connection, "FULL" if durable else "NORMAL")
            with _transaction(connection):
                for table, key, body in changes:
                    if body is None:
                        connection.execute(_DELETE, (table, key))
                    else:
                        connection.execute(_PUT, (table, key, body))

    def load(self, table: str) -> dict[str, bytes]:
        """Every row of a table, sorted by key."""
        connection = self._connected()
        with self._told("read"):
            return dict(connection.execute("SELECT key, body FROM rows WHERE kind = ? ORDER BY key", (table,)))

    def close(self) -> None:
        """Release file and directory. Twice is once."""
        if self._connection is not None:
            # closing writes the log back; where the disk is full the log simply stays and is read next time
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        self._lock.release()

    def _open(self) -> None:
        with self._told("open"):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._connection = connection
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}").fetchall()
            self._set_synchronous(connection, "FULL")
            if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                with _transaction(connection):
                    for statement in _CREATE:
                        connection.execute(statement)
            self._check(connection)
            self._stretch(connection)

    def _stretch(self, connection: sqlite3.Connection) -> None:
        """Make the log as long as it gets, once: a commit into blocks that are there already takes half the time.

        Where the disk has no room for it, commits are slower and nothing else.
        """
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}").fetchall()
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

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise Failed(f"{self.path} is closed")
        return self._connection

    def _set_synchronous(self, connection: sqlite3.Connection, level: str) -> None:
        if level != self._synchronous:
            connection.execute(f"PRAGMA synchronous = {level}")
            self._synchronous = level

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
