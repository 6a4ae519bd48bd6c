from __future__ import annotations

import os
from pathlib import Path

from netloom.runtime.sizes import size_of


def test_files_and_links_count_hard_links_once_and_folders_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    deep = tmp_path / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "d").write_bytes(b"y" * 20)
    os.link(deep / "d", tmp_path / "e")
    (tmp_path / "f").symlink_to("/nowhere")
    assert size_of(str(tmp_path)) == 100 + 20 + len("/nowhere")


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 5000)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "to").symlink_to(outside)
    assert size_of(str(inside)) == len(str(outside))


def test_what_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert size_of(str(tmp_path / "none")) == 0
    (tmp_path / "file").write_bytes(b"x")
    assert size_of(str(tmp_path / "file")) == 0
