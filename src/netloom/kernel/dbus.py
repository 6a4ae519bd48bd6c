"""Calls over the system's D-Bus whose arguments and answers are texts and numbers, nothing else.

Source: the D-Bus specification, "Message Protocol" and "Authentication Protocol" (EXTERNAL, by the socket's peer).
Little-endian throughout. A fresh connection for each talk: there are few, and nobody's restart breaks one.
"""

from __future__ import annotations

import os
import socket
import struct
from types import TracebackType
from typing import Self

from netloom.model.errors import Failed, Unavailable

_DEFAULT = "unix:path=/run/dbus/system_bus_socket"
_PATIENCE = 10.0  # seconds
_CALL, _RETURN, _ERROR = 1, 2, 3
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 5, 6, 8
_FIXED = struct.Struct("<cBBBIII")  # byte order, type, flags, version, length of the body, serial, length of the fields
_LARGEST = 1 << 20  # bytes; an answer of ours has some dozens
_BUS = "org.freedesktop.DBus"


class BusError(Failed):
    """The other side refused; `name` is the error's."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class Bus:
    """One connection, a context manager. Raises Unavailable where there is no bus."""

    def __init__(self, address: str = "") -> None:
        path = _path(address or os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", "") or _DEFAULT)
        self._serial = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.connect(path)
            self._socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
            said = self._socket.recv(256)
            if not said.startswith(b"OK "):
                raise Unavailable(f"the system's D-Bus lets nobody in: {said.decode(errors='replace').strip()}")
            self._socket.sendall(b"BEGIN\r\n")
            self.call(_BUS, "/org/freedesktop/DBus", _BUS, "Hello")
        except OSError as error:
            self._socket.close()
            raise Unavailable(f"there is no D-Bus at {path}: {error.strerror or error}") from error
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def process(self, name: str) -> int:
        """The pid of who has a name on the bus; 0 for nobody."""
        try:
            (pid,) = self.call(_BUS, "/org/freedesktop/DBus", _BUS, "GetConnectionUnixProcessID", name)
        except BusError as error:
            if error.name.endswith(".NameHasNoOwner"):
                return 0
            raise
        assert isinstance(pid, int)
        return pid

    def call(self, destination: str, path: str, interface: str, member: str, *arguments: str) -> list[str | int]:
        """The answer's texts and unsigned numbers. Raises BusError with the other side's words."""
        self._serial += 1
        fields = [
            (_PATH, "o", path),
            (_DESTINATION, "s", destination),
            (_INTERFACE, "s", interface),
            (_MEMBER, "s", member),
        ]
        body = b""
        if arguments:
            fields.append((_SIGNATURE, "g", "s" * len(arguments)))
            for argument in arguments:
                body = _aligned(body, 4) + _text(argument)
        header = b""
        for code, kind, value in fields:
            header = _aligned(header, 8) + bytes([code, 1]) + kind.encode() + b"\0"
            header += bytes([len(value)]) + value.encode() + b"\0" if kind == "g" else _text(value)
        fixed = _FIXED.pack(b"l", _CALL, 0, 1, len(body), self._serial, len(header))
        try:
            self._socket.sendall(_aligned(fixed + header, 8) + body)
            while True:  # signals come in between
                kind_of, found, answer = self._message()
                if found.get(_REPLY_SERIAL) == self._serial:
                    break
        except OSError as error:
            raise Unavailable(f"{destination} does not answer: {error.strerror or error}") from error
        values = _values(answer, str(found.get(_SIGNATURE, "")))
        if kind_of == _ERROR:
            raise BusError(str(found.get(_ERROR_NAME, "")), str(values[0]) if values else "")
        return values

    def _message(self) -> tuple[int, dict[int, str | int], bytes]:
        order, kind, _, _, size, _, header = _FIXED.unpack(self._exactly(_FIXED.size))
        padded = -(-header // 8) * 8
        if order != b"l" or size + padded > _LARGEST:
            raise Unavailable("D-Bus: a message that is not understood")
        return kind, _fields(self._exactly(padded)[:header]), self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise ConnectionResetError("the bus hung up")
            data += part
        return data


def _path(address: str) -> str:
    """The first unix socket of a list of addresses."""
    for one in address.split(";"):
        kind, _, rest = one.partition(":")
        keys = dict(part.partition("=")[::2] for part in rest.split(","))
        if kind == "unix" and "path" in keys:
            return keys["path"]
        if kind == "unix" and "abstract" in keys:
            return f"\0{keys['abstract']}"
    raise Unavailable(f"D-Bus at {address} cannot be reached", remedy="only unix sockets can")


def _aligned(data: bytes, to: int) -> bytes:
    return data + bytes(-len(data) % to)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<I", len(encoded)) + encoded + b"\0"


def _fields(data: bytes) -> dict[int, str | int]:
    """Header fields of the types s, o, g and u: there are no others in answers."""
    found: dict[int, str | int] = {}
    at = 0
    while at < len(data):
        at += -at % 8
        code, length = data[at], data[at + 1]
        signature = data[at + 2 : at + 2 + length].decode()
        at += 3 + length
        found[code], at = _value(data, at, signature)
    return found


def _values(data: bytes, signature: str) -> list[str | int]:
    """What is left after the first value of another type is left out."""
    values: list[str | int] = []
    at = 0
    for kind in signature:
        if kind not in "sogub":
            break
        value, at = _value(data, at, kind)
        values.append(value)
    return values


def _value(data: bytes, at: int, kind: str) -> tuple[str | int, int]:
    try:
        if kind == "g":
            return data[at + 1 : at + 1 + data[at]].decode(), at + 2 + data[at]
        at += -at % 4
        (number,) = struct.unpack_from("<I", data, at)
    except (IndexError, struct.error) as error:
        raise Unavailable("D-Bus: a message that is not understood") from error
    if kind in "ub":
        return number, at + 4
    return data[at + 4 : at + 4 + number].decode(errors="replace"), at + 5 + number
