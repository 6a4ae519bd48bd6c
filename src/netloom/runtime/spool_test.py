"""The file of what a client has not read."""

from __future__ import annotations

import os
from pathlib import Path

from netloom.runtime.spool import Spool


def test_pieces_come_back_in_order_and_nothing_is_left(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    pieces = [(1 + number % 2, os.urandom(number * 37 % 8193)) for number in range(500)]
    for start in range(0, 500, 7):
        spool.add(pieces[start : start + 7])
    assert not os.listdir(tmp_path)
    found = []
    while batch := spool.take():
        found += batch
    assert found == pieces
    assert spool.size == 0
    spool.add(pieces[:1])
    assert spool.take() == pieces[:1]
    spool.close()


def test_after_its_end_it_holds_nothing(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    spool.add([(1, b"x")])
    spool.close()
    spool.close()
    spool.add([(1, b"y")])
    assert (spool.size, spool.take()) == (0, [])
