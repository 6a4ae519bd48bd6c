"""MAC addresses of endpoints."""

from __future__ import annotations

import re

from netloom.model.errors import InvalidArgument

_FORM = re.compile(
    r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}", re.I | re.A
)


def random_mac(dice: bytes) -> str:
    """A locally administered unicast address (IEEE 802, clause 8.4) out of six random bytes."""
    if len(dice) != 6:
        raise ValueError("a MAC address has six bytes")
    return bytes([(dice[0] | 0b10) & ~0b1, *dice[1:]]).hex(":")


def parse_mac(text: str) -> str:
    """The address in lower case with colons, from any of the three usual notations. Raises InvalidArgument."""
    if not _FORM.fullmatch(text):
        raise InvalidArgument(f"invalid MAC address {text}")
    return bytes.fromhex(re.sub("[:.-]", "", text)).hex(":")


def interface_mac(text: str) -> str:
    """As `parse_mac`, and refuses what the kernel would refuse for an interface: multicast and zero."""
    mac = parse_mac(text)
    if int(mac[:2], 16) & 1:
        raise InvalidArgument(f"invalid MAC address {text}", remedy="it is a multicast address")
    if mac == "00:00:00:00:00:00":
        raise InvalidArgument(f"invalid MAC address {text}", remedy="zero is no address of an interface")
    return mac
