import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.cli.errors import CliError
from netloom.cli.frames import Frames


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=20)), max_size=6), st.integers(1, 30))
def test_any_cut_gives_the_same_bytes(frames: list[tuple[int, bytes]], cut: int) -> None:
    wire = b"".join(bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data for stream, data in frames)
    reader, got = Frames(), dict.fromkeys(range(4), b"")
    for at in range(0, len(wire), cut):
        for stream, data in reader.feed(wire[at : at + cut]):
            got[stream] += data
    assert got == {n: b"".join(data for stream, data in frames if stream == n) for n in range(4)}


def test_what_is_no_frame_is_told() -> None:
    with pytest.raises(CliError, match="unrecognized stream 72"):
        list(Frames().feed(b"HTTP/1.1 200"))
