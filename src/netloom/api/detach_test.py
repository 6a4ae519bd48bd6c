import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.api.detach import Watch, parse_keys
from netloom.model.errors import InvalidArgument


def test_keys() -> None:
    assert parse_keys("") == b"\x10\x11"
    assert parse_keys("ctrl-a,x,ctrl-[,ctrl-@,ctrl-_") == b"\x01x\x1b\x00\x1f"


@pytest.mark.parametrize("text", ["zz", "ctrl-", "ctrl-aa", "a,,b", "ü", "ctrl-é"])
def test_keys_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_keys(text)


@given(st.lists(st.binary(max_size=4).map(lambda b: bytes(x % 3 for x in b)), max_size=12))
def test_pieces_do_not_matter(pieces: list[bytes]) -> None:
    """What goes on is what was typed up to the keys, less a beginning of them that is still held back."""
    keys = b"\x01\x02"
    watch = Watch(keys)
    out, pressed = b"", False
    for piece in pieces:
        data, pressed = watch.feed(piece)
        out += data
        if pressed:
            break
    typed = b"".join(pieces)
    if keys in typed:
        assert pressed
        assert out == typed[: typed.index(keys)]
    else:
        assert not pressed
        assert out == (typed[:-1] if typed.endswith(keys[:1]) else typed)
