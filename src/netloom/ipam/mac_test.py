import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.ipam.mac import interface_mac, parse_mac, random_mac
from netloom.model.errors import InvalidArgument


@given(st.binary(min_size=6, max_size=6))
def test_random_ones_are_local_and_unicast(dice: bytes) -> None:
    mac = random_mac(dice)
    assert int(mac[:2], 16) & 0b11 == 0b10
    assert bytes.fromhex(mac.replace(":", ""))[1:] == dice[1:]
    assert interface_mac(mac) == parse_mac(mac) == mac


def test_random_takes_six_bytes() -> None:
    with pytest.raises(ValueError, match="six bytes"):
        random_mac(bytes(5))


@pytest.mark.parametrize("text", ["02:42:AC:11:00:02", "02-42-ac-11-00-02", "0242.ac11.0002"])
def test_notations(text: str) -> None:
    assert parse_mac(text) == "02:42:ac:11:00:02"


@pytest.mark.parametrize(
    "text",
    ["zz", "", "00:11:22:33:44", "0:1:2:3:4:5", "00:11:22:33:44:55:66:77", "02:42-ac:11:00:02", "02:42:ac:11:00:02\n"],
)
def test_invalid(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_mac(text)
    assert caught.value.message == f"invalid MAC address {text}"


@pytest.mark.parametrize("text", ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"])
def test_no_interface_can_have_these(text: str) -> None:
    assert parse_mac(text) == text
    with pytest.raises(InvalidArgument, match=f"^invalid MAC address {text}: "):
        interface_mac(text)
