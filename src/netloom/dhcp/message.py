"""DHCP messages as bytes: header and options, bounds-checked (RFC 2131, section 2; options: RFC 2132, RFC 3396)."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = 1, 2, 3, 4, 5, 6, 7

SUBNET_MASK, ROUTER, NAME_SERVER, HOST_NAME, DOMAIN_NAME, MTU, STATIC_ROUTES = 1, 3, 6, 12, 15, 26, 33
REQUESTED, LEASE_TIME, OVERLOAD, KIND, SERVER, WANTED, TEXT, MAX_SIZE = 50, 51, 52, 53, 54, 55, 56, 57
T1, T2, CLIENT_ID, CLASSLESS_ROUTES = 58, 59, 61, 121

BROADCAST = 0x8000  # flag: the client has no address yet at which it could be answered
MOST = 1472  # octets that we say we take: what fits a frame of Ethernet

_BOOT_REQUEST, _BOOT_REPLY = 1, 2
_ETHERNET, _MAC_SIZE = 1, 6
_HEADER = 236
_COOKIE = bytes((99, 130, 83, 99))
_SERVER_NAME, _FILE = slice(44, 108), slice(108, 236)
_PAD, _END = 0, 255
_LEAST = 300  # BOOTP's size: relays drop what is shorter


class Malformed(ValueError):
    """The bytes are not what the format says. The only exception that reading raises."""


class Message(Struct, frozen=True, kw_only=True):
    """One message. Addresses are 4 octets; an option that came in parts is one (RFC 3396)."""

    reply: bool = False
    xid: int
    secs: int = 0
    flags: int = 0
    client: bytes = bytes(4)  # ciaddr: the address that the client has
    yours: bytes = bytes(4)  # yiaddr
    relay: bytes = bytes(4)  # giaddr
    mac: bytes  # chaddr
    options: dict[int, bytes] = {}

    @property
    def kind(self) -> int:
        """DISCOVER … RELEASE; 0 for none."""
        octets = self.options.get(KIND, b"")
        return octets[0] if len(octets) == 1 else 0

    def encode(self) -> bytes:
        """The octets. Options longer than 255 octets go in parts."""
        head = bytes((_BOOT_REPLY if self.reply else _BOOT_REQUEST, _ETHERNET, _MAC_SIZE, 0))
        head += self.xid.to_bytes(4, "big") + min(self.secs, 0xFFFF).to_bytes(2, "big") + self.flags.to_bytes(2, "big")
        head += self.client + self.yours + bytes(4) + self.relay + self.mac.ljust(16, b"\0")
        body = b"".join(_option(code, data) for code, data in self.options.items())
        return (head.ljust(_HEADER, b"\0") + _COOKIE + body + bytes((_END,))).ljust(_LEAST, b"\0")


def parse(data: bytes) -> Message:
    """A message of a client or a server on Ethernet. Raises Malformed."""
    if len(data) < _HEADER + len(_COOKIE):
        raise Malformed(f"a message of {len(data)} octets")
    if data[0] not in (_BOOT_REQUEST, _BOOT_REPLY) or data[1] != _ETHERNET or data[2] != _MAC_SIZE:
        raise Malformed("no message about an Ethernet address")
    if data[_HEADER : _HEADER + 4] != _COOKIE:
        raise Malformed("BOOTP without DHCP's options")
    options: dict[int, bytes] = {}
    _collect(data[_HEADER + 4 :], options)
    # Options may go on in fields that are not needed otherwise (RFC 2132, section 9.3).
    overload = options.pop(OVERLOAD, b"\0")
    if len(overload) != 1 or overload[0] > 3:
        raise Malformed("option 52 says neither file nor sname")
    if overload[0] & 1:
        _collect(data[_FILE], options)
    if overload[0] & 2:
        _collect(data[_SERVER_NAME], options)
    options.pop(OVERLOAD, None)
    return Message(
        reply=data[0] == _BOOT_REPLY,
        xid=int.from_bytes(data[4:8], "big"),
        secs=int.from_bytes(data[8:10], "big"),
        flags=int.from_bytes(data[10:12], "big"),
        client=data[12:16],
        yours=data[16:20],
        relay=data[24:28],
        mac=data[28:34],
        options=options,
    )


def _option(code: int, data: bytes) -> bytes:
    parts = [data[at : at + 255] for at in range(0, len(data), 255)] or [b""]
    return b"".join(bytes((code, len(part))) + part for part in parts)


def _collect(area: bytes, options: dict[int, bytes]) -> None:
    for code, data in _options(area):
        options[code] = options.get(code, b"") + data


def _options(area: bytes) -> Iterator[tuple[int, bytes]]:
    """Up to the end's mark, or to the end of the area where that was cut off behind a whole option."""
    at = 0
    while at < len(area) and area[at] != _END:
        if area[at] == _PAD:
            at += 1
            continue
        if at + 2 > len(area) or at + 2 + area[at + 1] > len(area):
            raise Malformed(f"option {area[at]} is longer than its message")
        yield area[at], area[at + 2 : at + 2 + area[at + 1]]
        at += 2 + area[at + 1]
