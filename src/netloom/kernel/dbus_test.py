"""The bytes of a talk on D-Bus, with a bus that answers as the specification says."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom.kernel.dbus import Bus, BusError
from netloom.model.errors import Unavailable


def _string(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode() + b"\0"


def _message(kind: int, serial: int, answered: int, signature: str, body: bytes, error: str = "") -> bytes:
    """A message of the bus: header fields in the order REPLY_SERIAL, ERROR_NAME, SENDER, SIGNATURE."""
    fields = b"\x05\x01u\0" + struct.pack("<I", answered)
    if error:
        fields += bytes(-len(fields) % 8) + b"\x04\x01s\0" + _string(error)
    fields += bytes(-len(fields) % 8) + b"\x07\x01s\0" + _string("org.freedesktop.DBus")
    if signature:
        fields += bytes(-len(fields) % 8) + b"\x08\x01g\0" + bytes([len(signature)]) + signature.encode() + b"\0"
    head = struct.pack("<cBBBIII", b"l", kind, 1, 1, len(body), serial, len(fields)) + fields
    return head + bytes(-len(head) % 8) + body


ANSWERS = [
    _message(2, 1, 1, "s", _string(":1.7")),  # Hello
    _message(4, 2, 0, "s", _string("a signal")) + _message(2, 3, 2, "u", struct.pack("<I", 4711)),
    _message(2, 4, 3, "s", _string("trusted")),
    _message(3, 5, 4, "s", _string("INVALID_ZONE: x"), "org.fedoraproject.FirewallD1.Exception"),
    _message(3, 6, 5, "s", _string("nobody"), "org.freedesktop.DBus.Error.NameHasNoOwner"),
]


@contextmanager
def bus(path: Path, heard: list[bytes]) -> Iterator[str]:
    """Answers each call with the next of `ANSWERS`, then hangs up."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            with server.accept()[0] as one:
                heard.append(one.recv(256))
                one.sendall(b"OK 0123456789abcdef\r\n")
                for place, answer in enumerate(ANSWERS):
                    data = one.recv(4096)
                    while place == 0 and len(data) < len(b"BEGIN\r\n") + 16:
                        data += one.recv(4096)
                    heard.append(data)
                    for half in (answer[:9], answer[9:]):
                        one.sendall(half)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"unix:path={path},guid=1;tcp:host=x"
        thread.join()


def test_a_talk(tmp_path: Path) -> None:
    heard: list[bytes] = []
    with bus(tmp_path / "bus", heard) as address, Bus(address) as talk:
        assert talk.process("org.fedoraproject.FirewallD1") == 4711
        assert talk.call("a.b", "/a", "a.b.c", "getZone", "br-1") == ("trusted",)
        with pytest.raises(BusError, match="INVALID_ZONE: x") as refused:
            talk.call("a.b", "/a", "a.b.c", "addInterface", "x", "br-1")
        assert refused.value.name == "org.fedoraproject.FirewallD1.Exception"
        assert talk.process("nobody.there") == 0
        with pytest.raises(Unavailable, match="does not answer"):
            talk.call("a.b", "/a", "a.b.c", "getZone", "br-1")
    assert heard[0] == b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n"
    assert heard[4].endswith(_string("x") + b"\0\0" + _string("br-1"))  # each text begins at a multiple of four


def test_no_bus(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no D-Bus at"):
        Bus(f"unix:path={tmp_path}/none")
    with pytest.raises(Unavailable, match="cannot be reached"):
        Bus("tcp:host=localhost,port=1")
