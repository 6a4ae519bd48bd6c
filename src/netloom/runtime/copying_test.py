"""A tree copied as it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from netloom.runtime.copying import copy_content, is_empty


def test_everything_is_kept(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    target.mkdir()
    (source / "sub" / "file").write_text("text")
    os.setxattr(source / "sub" / "file", "user.note", b"n")
    os.chown(source / "sub" / "file", 7, 8)
    (source / "sub" / "file").chmod(0o4755)
    os.symlink("/nowhere", source / "link")
    os.mkfifo(source / "pipe", 0o640)
    os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (source / "big").write_bytes(os.urandom(100_000))
    source.chmod(0o2750)
    os.utime(source / "sub", (1, 2))
    one, two = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target))
    assert is_empty(two)
    copy_content(one, two)
    copy_content(one, two)  # what was cut short is begun anew
    assert not is_empty(two)
    os.close(one)
    os.close(two)
    assert _told(target) == _told(source)
    assert (target / "big").read_bytes() == (source / "big").read_bytes()
    assert os.getxattr(target / "sub" / "file", "user.note") == b"n"


def test_a_link_in_the_target_leads_nowhere(tmp_path: Path) -> None:
    source, target, outside = tmp_path / "source", tmp_path / "target", tmp_path / "outside"
    for folder in (source, target, outside):
        folder.mkdir()
    (source / "file").write_text("new")
    (outside / "file").write_text("old")
    os.symlink(outside / "file", target / "file")
    one, two = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target))
    copy_content(one, two)
    os.close(one)
    os.close(two)
    assert ((outside / "file").read_text(), (target / "file").read_text()) == ("old", "new")


def _told(root: Path) -> list[tuple[object, ...]]:
    found = []
    for path in sorted((root, *root.rglob("*"))):
        told = path.lstat()
        link = os.readlink(path) if path.is_symlink() else ""
        found.append(
            (str(path.relative_to(root)), told.st_mode, told.st_uid, told.st_gid, told.st_rdev, told.st_mtime_ns, link)
        )
    return found
