"""DNS servers for tests: well, dead, slow, lying or truncating, in a namespace of the test's.

with NameServer(host.outside, OUTSIDE4, says="192.0.2.1") as server:
    ...
    assert server.asked == ["example.test."]
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from typing import Literal, Self

from msgspec.structs import replace

from netloom.dns import message as m
from netloom.dns.message import Message, Question, Record
from netloom.dns.rdata.a import A
from netloom.dns.rdata.opaque import Opaque
from netloom.dns.wire import encode_name, name_text
from netloom.testing.hosts import Netns

Manner = Literal["well", "silent", "slow", "lying", "truncating"]

SLOW = 1.5  # seconds
_LIE = A(socket.inet_aton("6.6.6.6"))
_SOA = Opaque(6, b"\0\0" + bytes(16) + (30).to_bytes(4, "big"))


class NameServer:
    """Answers every question of type A for a name in `.test` with `says`; every other one with NXDOMAIN and a SOA.

    `lying` sends forgeries before the true answer: a wrong id, a wrong question, no answer at all; `truncating` gives
    whole answers by TCP alone. What it was asked, with ids and source ports, can be looked at meanwhile.
    """

    def __init__(
        self, where: Netns, address: str, *, says: str = "192.0.2.1", ttl: int = 30, manner: Manner = "well"
    ) -> None:
        self.asked: list[str] = []
        self.seen: list[tuple[int, int]] = []  # id, source port
        self.says = says
        self.ttl = ttl
        self.manner: Manner = manner
        self._udp = where.call(_bound, address, socket.SOCK_DGRAM)
        self._tcp = where.call(_bound, address, socket.SOCK_STREAM)
        self._stop, self._stopped = socket.socketpair()
        self._later: list[tuple[float, bytes, tuple[str, int]]] = []
        self._thread = threading.Thread(target=self._serve, name="name server")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.send(b"x")
        self._thread.join()
        for sock in (self._udp, self._tcp, self._stop, self._stopped):
            sock.close()

    def _serve(self) -> None:
        while True:
            wait = max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
            ready, _, _ = select.select([self._udp, self._tcp, self._stopped], [], [], wait)
            if self._stopped in ready:
                return
            if self._udp in ready:
                self._datagram(*self._udp.recvfrom(4096))
            if self._tcp in ready:
                self._stream()
            while self._later and self._later[0][0] <= time.monotonic():
                _, reply, client = self._later.pop(0)
                self._udp.sendto(reply, client)

    def _datagram(self, data: bytes, client: tuple[str, int]) -> None:
        asked = m.decode(data)
        question = asked.questions[0]
        self.asked.append(name_text(question.name))
        self.seen.append((asked.id, client[1]))
        reply = self._reply(asked)
        match self.manner:
            case "silent":
                return
            case "slow":
                self._later.append((time.monotonic() + SLOW, m.encode(reply), client))
                return
            case "truncating":
                reply = replace(reply, flags=reply.flags | m.TC, answers=())
            case "lying":
                for lie in self._lies(reply, question):
                    self._udp.sendto(lie, client)
        self._udp.sendto(m.encode(reply), client)

    def _lies(self, reply: Message, question: Question) -> list[bytes]:
        false = replace(reply, answers=(Record(question.name, _LIE, 30),))
        other = Question(encode_name("other.test"), question.kind)
        return [
            m.encode(replace(false, id=reply.id ^ 1)),
            m.encode(replace(false, questions=(other,))),
            m.encode(replace(false, questions=())),
            m.encode(replace(false, flags=false.flags & ~m.QR)),
            m.encode(false)[:20],
        ]

    def _stream(self) -> None:
        connection, client = self._tcp.accept()
        with connection:
            connection.settimeout(10)
            try:
                (size,) = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
                asked = m.decode(connection.recv(size, socket.MSG_WAITALL))
                self.seen.append((asked.id, client[1]))
                reply = m.encode(self._reply(asked))
                connection.sendall(struct.pack("!H", len(reply)) + reply)
            except (OSError, struct.error):
                return

    def _reply(self, asked: Message) -> Message:
        question = asked.questions[0]
        flags = m.QR | m.RA | m.RD
        if question.kind == A.TYPE and question.name.lower().endswith(b"\4test\0"):
            record = Record(question.name, A(socket.inet_aton(self.says)), self.ttl)
            # Nobody asked for this, and nobody may believe it: it is outside of what the question is about.
            beside = Record(encode_name("bank.test"), _LIE, 3600)
            return Message(asked.id, flags, (question,), (record,), additional=(beside,))
        return Message(asked.id, flags | m.NXDOMAIN, (question,), authority=(Record(b"\0", _SOA, 30),))


def _bound(address: str, kind: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, 53))
    if kind == socket.SOCK_STREAM:
        sock.listen(16)
    return sock
