"""The program that copies, on folders: every path is that of somebody whose root the folder is."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from netloom.runtime.archive_process import COMMAND


def run(root: Path, mode: str, data: bytes = b"", **wanted: Any) -> tuple[list[dict[str, Any]], bytes]:
    """What the program tells, and what it writes."""
    reader, writer = os.pipe()
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY)
    script = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
    program = [*COMMAND, mode, json.dumps(wanted)]
    done = subprocess.run(
        ["bash", "-c", script, "bash", str(folder), str(writer), *program],
        input=data,
        capture_output=True,
        pass_fds=(folder, writer),
        check=True,
    )
    os.close(folder)
    os.close(writer)
    with open(reader, "rb") as file:
        return [json.loads(line) for line in file.read().splitlines()], done.stdout


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [member.name + ("/" if member.isdir() else "") for member in archive]


def contents(root: Path) -> dict[str, bytes]:
    """Of regular files."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def packed(*entries: tuple[str, dict[str, Any], bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, fields, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with links that would lead out of it."""
    (tmp_path / "secret").write_text("of the host")
    root = tmp_path / "root"
    (root / "d" / "sub").mkdir(parents=True)
    (root / "d" / "one").write_text("one\n")
    (root / "d" / "sub" / "two").write_text("two\n")
    os.link(root / "d" / "one", root / "d" / "same")
    os.symlink("/d", root / "lnk")
    os.symlink("../../../secret", root / "out")
    os.symlink("/nowhere/x", root / "dangling")
    os.symlink("loop", root / "loop")
    return root


@pytest.mark.parametrize(
    ("path", "name", "target"),
    [
        ("/d", "d", ""),
        ("/d/", "d", ""),
        ("/d/.", ".", ""),
        ("d/../d/one", "one", ""),
        ("/", "/", ""),
        (".", ".", ""),
        ("/lnk", "lnk", "/d"),
        ("/lnk/", "lnk", ""),
        ("/lnk/one", "one", ""),
        ("/dangling", "dangling", "/nowhere/x"),
        ("/out", "out", "/secret"),
    ],
)
def test_what_a_path_is(root: Path, path: str, name: str, target: str) -> None:
    ((told,), _) = run(root, "stat", path=path)
    assert (told["stat"]["name"], told["stat"]["linkTarget"]) == (name, target)


@pytest.mark.parametrize(
    ("path", "kind", "detail"),
    [
        ("/nosuch", "missing", ""),
        ("/dangling/", "missing", ""),
        ("/out/", "missing", ""),
        ("/loop/", "missing", ""),
        ("/d/one/", "lstat", "lstat /d/one/: not a directory"),
        ("/d/one/x", "lstat", "lstat /d/one/x: not a directory"),
    ],
)
def test_what_is_not_there(root: Path, path: str, kind: str, detail: str) -> None:
    for mode in ("stat", "get"):
        assert run(root, mode, path=path) == ([{"error": kind, "detail": detail}], b"")


def test_trees_are_named_as_docker_names_them(root: Path) -> None:
    assert names(run(root, "get", path="/d")[1]) == ["d/", "d/one", "d/same", "d/sub/", "d/sub/two"]
    assert names(run(root, "get", path="/lnk/.")[1]) == ["./", "./one", "./same", "./sub/", "./sub/two"]
    assert names(run(root, "get", path="/", bare=True)[1])[:3] == ["d/", "d/one", "d/same"]
    assert names(run(root, "get", path="/lnk")[1]) == ["lnk"]


def test_a_round_trip_keeps_everything(root: Path, tmp_path: Path) -> None:
    (root / "d" / "big").write_bytes(os.urandom(3_000_001))
    (root / "d" / ("long" * 60)).write_text("x")
    os.chown(root / "d" / "sub" / "two", 7, 8)
    (root / "d" / "sub" / "two").chmod(0o4750)
    os.mkfifo(root / "d" / "pipe")
    os.mknod(root / "d" / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.setxattr(root / "d" / "one", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.utime(root / "d" / "sub", (5, 5))
    data = run(root, "get", path="/d/.")[1]
    target = tmp_path / "target"
    target.mkdir()
    for form in (data, gzip.compress(data)):
        assert run(target, "put", form, path="/")[0] == [{"ready": True}, {"done": True}]
        assert contents(target) == contents(root / "d")
        found = (target / "sub" / "two").stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (7, 8, 0o4750)
        assert (target / "null").stat().st_rdev == os.makedev(1, 3)
        assert (target / "one").stat().st_nlink == 2
        assert os.getxattr(target / "one", "security.capability")
        assert (target / "sub").stat().st_mtime == 5


def test_no_archive_leads_out(root: Path, tmp_path: Path) -> None:
    def put(*entries: tuple[str, dict[str, Any], bytes]) -> dict[str, Any]:
        return run(root, "put", packed(*entries), path="/d")[0][-1]

    link = {"type": tarfile.SYMTYPE, "linkname": str(tmp_path)}
    assert put(("../../../made", {}, b"x")) == {"error": "failed", "detail": 'invalid entry name "../../../made"'}
    assert put(("/made", {}, b"x")) == {"done": True}
    assert (root / "d" / "made").exists()
    assert put(("trap", link, b""), ("trap/secret", {}, b"changed")) == {"done": True}
    hard = {"type": tarfile.LNKTYPE, "linkname": "../../secret"}
    assert "error" in put(("hard", hard, b""))
    assert (tmp_path / "secret").read_text() == "of the host"
    assert sorted(os.listdir(tmp_path)) == ["root", "secret"]


def test_kinds_are_kept_where_it_is_asked_for(root: Path) -> None:
    file, folder = packed(("sub", {}, b"x")), packed(("one", {"type": tarfile.DIRTYPE}, b""))
    ((_, told), _) = run(root, "put", file, path="/d", keep_kinds=True)
    assert told["detail"] == 'cannot overwrite directory "sub" with non-directory "sub"'
    ((_, told), _) = run(root, "put", folder, path="/d", keep_kinds=True)
    assert told["detail"] == 'cannot overwrite non-directory "one" with directory "one"'
    assert run(root, "put", file, path="/d", owner=[5, 6])[0][-1] == {"done": True}
    assert (root / "d" / "sub").stat().st_uid == 5


def test_broken_archives(root: Path) -> None:
    whole = packed(("a", {}, b"x" * 5000))
    assert run(root, "put", b"", path="/d")[0] == [{"ready": True}, {"done": True}]
    for data in (whole[:2000], b"\xff" * 4096, gzip.compress(whole)[:60]):
        assert run(root, "put", data, path="/d")[0][-1]["error"] == "malformed"
    assert run(root, "put", whole, path="/d/one")[0] == [{"error": "no folder", "detail": ""}]
    assert run(root, "put", whole, path="/nosuch")[0] == [{"error": "missing", "detail": ""}]
