"""DHCP servers for tests: a real dnsmasq, and one that says whatever a test makes it say."""

from __future__ import annotations

import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from netloom.dhcp import message as m
from netloom.dhcp.message import Message, parse
from netloom.testing.hosts import Netns, eventually

_BINDTODEVICE = 25

Answer = Callable[[Message], Iterable[Message]]


class Dnsmasq:
    """In a namespace, on an interface of it; leases of two minutes, the shortest that dnsmasq has."""

    def __init__(self, where: Netns, directory: Path, interface: str, first: str, last: str, *options: str) -> None:
        self._file, self._log = directory / "leases", directory / "dnsmasq.log"
        self._process = where.popen(
            "dnsmasq",
            *("--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0", "--no-ping", "--log-dhcp"),
            *(f"--interface={interface}", "--bind-interfaces", "--dhcp-authoritative"),
            *(f"--dhcp-range={first},{last},120", f"--dhcp-leasefile={self._file}", *options),
            stdout=subprocess.DEVNULL,
            stderr=self._log.open("ab"),
        )
        eventually(lambda: "sockets bound" in self.log, what="dnsmasq to serve")

    @property
    def log(self) -> str:
        """All that it has said."""
        return self._log.read_text() if self._log.exists() else ""

    def leases(self) -> list[list[str]]:
        """Time of the end, MAC, address, hostname, client id of each lease."""
        former, text = None, self._text()
        while text != former:  # it is cut to nothing before it is written anew
            time.sleep(0.02)
            former, text = text, self._text()
        return [line.split() for line in text.splitlines()]

    def _text(self) -> str:
        return self._file.read_text() if self._file.exists() else ""

    def heard(self, kind: str) -> int:
        """How many messages of a kind (`DHCPREQUEST`) it has heard."""
        return self.log.count(f" {kind}(")

    def stop(self) -> None:
        """It dies."""
        self._process.kill()
        self._process.wait()


@contextmanager
def serving(where: Netns, answer: Answer, interface: str = "wan") -> Iterator[list[Message]]:
    """A server that says what `answer` makes of each message; gives what it has heard."""
    heard: list[Message] = []
    with where.call(_listening, interface) as server:
        stop, stopped = socket.socketpair()
        with stop, stopped:
            thread = threading.Thread(target=_serve, args=(server, stopped, answer, heard), name="dhcp")
            thread.start()
            try:
                yield heard
            finally:
                stop.send(b"x")
                thread.join()


def grant(heard: Message, address: str, server: str, seconds: int = 3600, **options: bytes) -> Message:
    """The offer, or the grant, that answers a message; options by the names of `dhcp.message`, empty: left out."""
    kind = m.OFFER if heard.kind == m.DISCOVER else m.ACK
    plain = {
        "KIND": bytes((kind,)),
        "SERVER": IPv4Address(server).packed,
        "SUBNET_MASK": bytes((255, 255, 255, 0)),
        "LEASE_TIME": seconds.to_bytes(4, "big"),
    }
    given = {getattr(m, name): data for name, data in {**plain, **options}.items() if data}
    yours = IPv4Address(address).packed
    return Message(reply=True, xid=heard.xid, client=heard.client, yours=yours, mac=heard.mac, options=given)


def refusal(heard: Message, server: str) -> Message:
    """The NAK that answers a request."""
    options = {m.KIND: bytes((m.NAK,)), m.SERVER: IPv4Address(server).packed}
    return Message(reply=True, xid=heard.xid, mac=heard.mac, options=options)


def _listening(interface: str) -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, _BINDTODEVICE, interface.encode())
    server.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", 67))
    return server


def _serve(server: socket.socket, stopped: socket.socket, answer: Answer, heard: list[Message]) -> None:
    while True:
        ready, _, _ = select.select([server, stopped], [], [])
        if stopped in ready:
            return
        message = parse(server.recv(2048))
        heard.append(message)
        if message.kind in (m.DISCOVER, m.REQUEST):
            for reply in answer(message):
                server.sendto(reply.encode(), ("255.255.255.255", 68))
