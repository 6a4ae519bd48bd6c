import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from netloom.model.errors import Conflict, Failed
from netloom.store.sqlite import SCHEMA, SqliteStore


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own, in a mount namespace of its own."""
    command = ["unshare", "--mount", sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_rows_survive_closing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "deep" / "state")
    store.commit([("t", "k", b"v")], durable=False)
    store.close()
    store.close()
    with pytest.raises(Failed, match="is closed"):
        store.load("t")
    again = SqliteStore(tmp_path / "deep" / "state")
    assert again.load("t") == {"k": b"v"}
    again.close()
    assert (tmp_path / "deep" / "state" / "netloom.db").stat().st_mode & 0o777 == 0o600


def test_durable_commits_are_synchronous_and_the_others_not(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    used: dict[int, int] = {}
    for connection in (store._connection, store._lax):
        assert connection is not None
        level = connection.execute("PRAGMA synchronous").fetchone()[0]
        connection.set_trace_callback(lambda _, level=level: used.update({level: used.get(level, 0) + 1}))
    for durable, level in ((True, 2), (False, 1), (False, 1), (True, 2)):  # FULL is 2, NORMAL 1
        used.clear()
        store.commit([("t", "k", b"v")], durable=durable)
        assert used == {level: 1}
    store.close()


def test_one_commit_puts_and_deletes_in_order(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    many = {f"{number:03}": b"%d" % number for number in range(200)}
    store.commit([("t", key, body) for key, body in many.items()], durable=True)
    assert store.load("t") == many
    store.commit([("t", "000", None), ("t", "001", None), ("t", "001", b"a"), ("t", "001", b"b")], durable=False)
    assert store.load("t") == {key: body for key, body in many.items() if key != "000"} | {"001": b"b"}
    store.commit([("t", key, None) for key in many], durable=True)
    assert store.load("t") == {}
    store.close()


def test_a_failed_commit_leaves_nothing_half(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.commit([("t", "k", b"v")], durable=True)
    with pytest.raises(Failed):
        store.commit([("t", "a", b"1"), ("t", "k", None), ("t", "b", object())], durable=True)  # type: ignore[list-item]
    assert store.load("t") == {"k": b"v"}
    store.commit([("t", "a", b"1")], durable=True)
    assert store.load("t") == {"a": b"1", "k": b"v"}
    store.close()


def test_second_daemon_is_refused_naming_the_first(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    with pytest.raises(
        Conflict, match=rf"^the state directory {tmp_path} is in use by another daemon \(pid {os.getpid()}\)"
    ):
        SqliteStore(tmp_path)
    store.commit([("t", "k", b"v")], durable=True)
    store.close()
    SqliteStore(tmp_path).close()


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        store.close()
        SqliteStore(tmp_path).close()
    finally:
        child.kill()
        child.wait()


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.commit([("t", "k", b"v")], durable=True)
    store.close()
    connection = sqlite3.connect(tmp_path / "netloom.db")
    connection.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (SCHEMA + 6,))
    connection.commit()
    connection.close()
    with pytest.raises(
        Failed, match=rf"newer netloom \(its schema is {SCHEMA + 6}, this one knows {SCHEMA}\): start that"
    ):
        SqliteStore(tmp_path)


def test_an_older_schema_is_read_and_becomes_the_newest(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.commit([("t", "k", b"v")], durable=True)
    store.close()
    connection = sqlite3.connect(tmp_path / "netloom.db")
    connection.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (SCHEMA - 1,))
    connection.commit()
    store = SqliteStore(tmp_path)
    assert store.load("t") == {"k": b"v"}
    store.close()
    assert connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone() == (SCHEMA,)
    connection.close()


def test_foreign_database_is_refused_untouched(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "netloom.db")
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    with pytest.raises(Failed, match="is not a state of netloom"):
        SqliteStore(tmp_path)


@pytest.mark.parametrize("where", [0, 4096 + 8])
def test_damaged_file_is_told_and_left_as_it_is(tmp_path: Path, where: int) -> None:
    store = SqliteStore(tmp_path)
    store.commit([("t", f"{n:05}", bytes(100)) for n in range(500)], durable=True)
    store.close()
    path = tmp_path / "netloom.db"
    content = bytearray(path.read_bytes())
    content[where : where + 64] = b"\xa5" * 64
    path.write_bytes(content)
    with pytest.raises(Failed, match=rf"{re.escape(str(path))} is damaged .*: put back a copy"):
        SqliteStore(tmp_path)
    assert path.read_bytes() == bytes(content)


def test_killed_writer_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from netloom.store.sqlite import SqliteStore\n"
        "store = SqliteStore(Path(sys.argv[1]))\n"
        "for n in range(10**9):\n"
        "    store.commit([('t', f'{n:09}', b'x'), ('t2', f'{n:09}', b'x')], durable=n % 10 == 0)\n"
        "    print(n, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 100:
            break
    child.send_signal(signal.SIGKILL)
    told = [int(line) for line in child.stdout.read().split()] or [100]
    child.stdout.close()
    child.wait()
    store = SqliteStore(tmp_path)
    rows = [int(key) for key in store.load("t")]
    assert rows == list(range(len(rows)))
    assert len(rows) > told[-1]
    assert list(store.load("t2")) == list(store.load("t"))
    store.close()


FULL = """
import os, subprocess, sys
from pathlib import Path
from netloom.model.errors import Exhausted, Failed
from netloom.store.sqlite import SqliteStore
directory = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tiny", str(directory)], check=True)
store = SqliteStore(directory)
model = {}
filler = directory / "filler"
free = os.statvfs(directory)
filler.write_bytes(bytes(free.f_bavail * free.f_frsize - (200 << 10)))
try:
    for n in range(10_000):
        store.commit([("t", f"{n:05}a", bytes(1000)), ("t", f"{n:05}b", bytes(1000))], durable=n % 2 == 0)
        model |= {f"{n:05}a": bytes(1000), f"{n:05}b": bytes(1000)}
except Exhausted as error:
    print(error)
assert store.load("t") == model, "half of a commit"
try:
    store.commit([("t", "more", bytes(100_000))], durable=True)
    raise SystemExit("a full disk took more")
except Exhausted:
    pass
assert store.load("t") == model
(directory / "filler").unlink()
store.commit([("t", "more", b"")], durable=True)
assert store.load("t") == model | {"more": b""}
store.close()
store = SqliteStore(directory)
assert store.load("t") == model | {"more": b""}
print(len(model) // 2, "commits")
"""


@pytest.mark.root
def test_full_disk_is_told_and_half_of_nothing_stands(tmp_path: Path) -> None:
    done = run(FULL, tmp_path)
    assert done.returncode == 0, done.stderr
    sentence, commits = done.stdout.splitlines()
    assert sentence == f"cannot save to {tmp_path}/netloom.db: the disk is full: free some space below {tmp_path}"
    assert int(commits.split()[0]) > 5


NEW_ON_FULL = """
import subprocess, sys
from pathlib import Path
from netloom.model.errors import NetloomError
from netloom.store.sqlite import SqliteStore
directory = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tiny", str(directory)], check=True)
filler = directory / "filler"
filler.write_bytes(bytes(int(sys.argv[2]) << 10))
try:
    SqliteStore(directory)
except NetloomError as error:
    print(error)
filler.unlink()
subprocess.run(["mount", "-o", "remount,size=1m", str(directory)], check=True)
SqliteStore(directory).commit([("t", "k", b"v")], durable=True)
"""


@pytest.mark.root
@pytest.mark.parametrize("used", [64, 60, 56])
def test_first_start_on_a_full_disk_can_be_repeated(tmp_path: Path, used: int) -> None:
    done = run(NEW_ON_FULL, tmp_path, used)
    assert done.returncode == 0, done.stderr
    assert "disk is full" in done.stdout or "no space left on device" in done.stdout


READ_ONLY = """
import subprocess, sys
from pathlib import Path
from netloom.model.errors import Failed
from netloom.store.sqlite import SqliteStore
directory = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tiny", str(directory)], check=True)
for path in (directory, directory / "below"):
    try:
        SqliteStore(path)
    except Failed as error:
        print(error)
"""


@pytest.mark.root
def test_read_only_directory_is_told(tmp_path: Path) -> None:
    done = run(READ_ONLY, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"cannot lock the state directory {tmp_path}: read-only file system",
        f"cannot create the state directory {tmp_path}/below: read-only file system",
    ]
