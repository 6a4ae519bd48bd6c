from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.cli.detach import DEFAULT_KEYS, DetachKeys, parse_keys
from netloom.cli.errors import CliError


def test_parse() -> None:
    assert parse_keys(DEFAULT_KEYS) == b"\x10\x11"
    assert parse_keys("a,ctrl-A,ctrl-[,ctrl-@") == b"a\x01\x1b\x00"
    for bad in ("", "ctrl-", "ctrl-1", "ab", "ü"):
        with pytest.raises(CliError, match="invalid detach keys"):
            parse_keys(bad)


def test_beginning_is_held_back_until_it_breaks_off() -> None:
    keys = DetachKeys(b"\x10\x11")
    assert keys.feed(b"a\x10") == (b"a", False)
    assert keys.feed(b"b") == (b"\x10b", False)
    assert keys.feed(b"\x10\x10") == (b"\x10", False)
    assert keys.feed(b"\x11rest") == (b"", True)


@given(st.binary(max_size=30), st.lists(st.integers(0, 30)))
def test_however_it_is_cut_nothing_is_lost(typed: bytes, cuts: list[int]) -> None:
    keys = DetachKeys(b"aab")
    out, detached = b"", False
    places = sorted({0, len(typed), *(cut for cut in cuts if cut <= len(typed))})
    for first, last in pairwise(places):
        piece, detached = keys.feed(typed[first:last])
        out += piece
        if detached:
            break
    at = typed.find(b"aab")
    assert detached == (at >= 0)
    if detached:
        assert out == typed[:at]
    else:
        assert typed.startswith(out)
        assert typed[len(out) :] in (b"", b"a", b"aa")
