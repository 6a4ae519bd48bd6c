"""Calls over the system's D-Bus. The messages are jeepney's; the socket is ours, so that nobody waits for ever.

A fresh connection for each talk: there are few, and nobody's restart breaks one.
"""

from __future__ import annotations

import os
import socket
from itertools import count
from types import TracebackType
from typing import Any, Self

from jeepney import DBusAddress, HeaderFields, Message, MessageType, Parser, message_bus, new_method_call
from jeepney.auth import BEGIN, AuthenticationError, Authenticator
from jeepney.bus import get_connectable_addresses

from netloom.model.errors import Failed, Unavailable

_DEFAULT = "unix:path=/run/dbus/system_bus_socket"
_PATIENCE = 10.0  # seconds


class BusError(Failed):
    """The other side refused; `name` is the error's."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class Bus:
    """One connection, a context manager. Raises Unavailable where there is no bus."""

    def __init__(self, address: str = "") -> None:
        path = _path(address or os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", "") or _DEFAULT)
        self._serials = count(1)
        self._parser = Parser()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.connect(path)
            self._introduce()
            self._answer(message_bus.Hello())
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
            (pid,) = self._asked(message_bus.GetConnectionUnixProcessID(name))
        except BusError as error:
            if error.name.endswith(".NameHasNoOwner"):
                return 0
            raise
        return int(pid)

    def call(self, destination: str, path: str, interface: str, member: str, *arguments: str) -> tuple[Any, ...]:
        """The answer to a call whose arguments are texts. Raises BusError with the other side's words."""
        address = DBusAddress(path, bus_name=destination, interface=interface)
        return self._asked(new_method_call(address, member, "s" * len(arguments) or None, arguments))

    def _asked(self, call: Message) -> tuple[Any, ...]:
        try:
            return self._answer(call)
        except OSError as error:
            who = call.header.fields[HeaderFields.destination]
            raise Unavailable(f"{who} does not answer: {error.strerror or error}") from error

    def _answer(self, call: Message) -> tuple[Any, ...]:
        serial = next(self._serials)
        self._socket.sendall(call.serialise(serial=serial))
        while True:  # signals come in between
            message = self._parser.get_next_message()
            if message is None:
                self._parser.add_data(self._received())
            elif message.header.fields.get(HeaderFields.reply_serial) == serial:
                break
        body: tuple[Any, ...] = message.body
        if message.header.message_type == MessageType.error:
            name = message.header.fields.get(HeaderFields.error_name, "")
            raise BusError(name, str(body[0]) if body else "")
        return body

    def _introduce(self) -> None:
        conversation = Authenticator()
        try:
            for said in conversation:
                self._socket.sendall(said)
                conversation.feed(self._received())
        except AuthenticationError as error:
            raise Unavailable(f"the system's D-Bus lets nobody in: {error}") from error
        self._socket.sendall(BEGIN)

    def _received(self) -> bytes:
        data = self._socket.recv(4096)
        if not data:
            raise ConnectionResetError("the bus hung up")
        return data


def _path(address: str) -> str:
    """The first unix socket of a list of addresses."""
    try:
        return str(next(get_connectable_addresses(address)))
    except (RuntimeError, ValueError) as error:
        raise Unavailable(f"D-Bus at {address} cannot be reached", remedy="only unix sockets can") from error
