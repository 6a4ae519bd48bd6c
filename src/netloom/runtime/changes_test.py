"""What a scratch layer changes, on folders as overlayfs leaves them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from netloom.model.archive import ADDED, CHANGED, DELETED, Change
from netloom.runtime.changes import changes


def tree(root: Path, *paths: str) -> str:
    """Folders end with a slash, whiteouts with an exclamation mark."""
    root.mkdir()
    for path in paths:
        place = root / path.rstrip("/!")
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            place.mkdir(exist_ok=True)
        elif path.endswith("!"):
            os.mknod(place, stat.S_IFCHR, os.makedev(0, 0))
        else:
            place.write_text("x")
    return str(root)


def test_each_kind(tmp_path: Path) -> None:
    bottom = tree(tmp_path / "bottom", "app/old", "app/gone", "app/deep/file", "etc/passwd", "hidden/below")
    top = tree(tmp_path / "top", "app/gone!", "app/new", "hidden/above")
    os.setxattr(f"{top}/hidden", "trusted.overlay.opaque", b"y")
    upper = tree(tmp_path / "upper", "app/old", "app/gone", "app/new!", "app/deep/more/", "made/file", "hidden/below")
    assert changes(upper, (top, bottom)) == [
        Change("/app", CHANGED),
        Change("/app/deep", CHANGED),
        Change("/app/deep/more", ADDED),
        Change("/app/gone", ADDED),
        Change("/app/new", DELETED),
        Change("/app/old", CHANGED),
        Change("/hidden", CHANGED),
        Change("/hidden/below", ADDED),
        Change("/made", ADDED),
        Change("/made/file", ADDED),
    ]


def test_a_folder_that_was_made_anew_has_lost_what_was_in_it(tmp_path: Path) -> None:
    lower = tree(tmp_path / "lower", "app/one", "app/two")
    upper = tree(tmp_path / "upper", "app/two")
    os.setxattr(f"{upper}/app", "trusted.overlay.opaque", b"y")
    assert changes(upper, (lower,)) == [
        Change("/app", CHANGED),
        Change("/app/one", DELETED),
        Change("/app/two", ADDED),
    ]


def test_places_to_mount_on_are_no_changes(tmp_path: Path) -> None:
    upper = tree(tmp_path / "upper", "dev/", "proc/", "sys/", "etc/")
    for name in ("hosts", "hostname", "resolv.conf"):
        Path(upper, "etc", name).touch()
    assert changes(upper, ()) == []
    Path(upper, "etc", "motd").touch()
    assert changes(upper, ()) == [Change("/etc", ADDED), Change("/etc/motd", ADDED)]
    assert changes(str(tmp_path / "nothing"), ()) == []
