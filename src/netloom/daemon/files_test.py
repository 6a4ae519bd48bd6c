import errno
import os
from pathlib import Path

import pytest

from netloom.daemon.files import DiskFiles
from netloom.model.errors import Exhausted, Failed


def test_a_file_keeps_its_identity(tmp_path: Path) -> None:
    files = DiskFiles(str(tmp_path))
    files.write("c1", "hosts", "long and first\n")
    before = os.stat(files.path("c1", "hosts")).st_ino
    files.write("c1", "hosts", "short\n")
    assert files.read("c1", "hosts") == "short\n"
    assert os.stat(files.path("c1", "hosts")).st_ino == before


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    assert DiskFiles(str(tmp_path)).read("c1", "hosts") == ""


def test_a_full_disk_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda fd, data: len(data) - 1)
    with pytest.raises(Exhausted, match=f"hosts: {os.strerror(errno.ENOSPC).lower()}"):
        DiskFiles(str(tmp_path)).write("c1", "hosts", "text")


def test_a_folder_in_the_way_is_told_of(tmp_path: Path) -> None:
    files = DiskFiles(str(tmp_path))
    os.makedirs(files.path("c1", "hosts"))
    with pytest.raises(Failed, match="is a directory"):
        files.write("c1", "hosts", "text")
