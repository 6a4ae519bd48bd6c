import struct

from hypothesis import given
from hypothesis import strategies as st

from netloom.model.checksum import checksum


def slow_sum(data: bytes) -> int:
    """RFC 1071, section 4.1."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"))
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(st.binary(max_size=200) | st.sampled_from([b"", bytes(4), b"\xff\xff", b"\x7f\xff\x80\0", b"\xff"]))
def test_it_is_the_complement_of_the_sum(data: bytes) -> None:
    assert checksum(data) == checksum(bytearray(data)) == 0xFFFF - slow_sum(data)


@given(st.binary(min_size=1, max_size=200).filter(any))
def test_it_completes_the_sum(data: bytes) -> None:
    even = data + bytes(len(data) % 2)
    assert checksum(even + struct.pack("!H", checksum(data))) == 0


def test_known() -> None:
    assert checksum(bytes.fromhex("45000073000040004011b861c0a80001c0a800c7")) == 0
    assert checksum(b"\x01") == 0xFEFF
