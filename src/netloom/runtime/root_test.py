"""Users are looked up in files that belong to the container."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netloom.model.errors import Failed
from netloom.runtime.root import identity_in

UNKNOWN = r"^unable to find user web: no matching entries in passwd file$"


def test_a_user_of_the_containers_own_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("web:x:33:44::/srv:/bin/sh\n")
    found = identity_in(str(tmp_path), "web")
    assert (found.uid, found.gid, found.home) == (33, 44, "/srv")


@pytest.mark.timeout(10)
def test_a_pipe_or_a_device_in_place_of_the_file_holds_nobody(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    passwd = tmp_path / "etc/passwd"
    os.mkfifo(passwd)
    with pytest.raises(Failed, match=UNKNOWN):
        identity_in(str(tmp_path), "web")
    passwd.unlink()
    os.mknod(passwd, 0o20666, os.makedev(1, 5))  # /dev/zero
    with pytest.raises(Failed, match=UNKNOWN):
        identity_in(str(tmp_path), "web")
