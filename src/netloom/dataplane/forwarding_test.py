"""How much one sandbox may have under way, and what all may have together; no server answers here."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from netloom.dataplane import forwarding
from netloom.dataplane.forwarding import MAX_RUNNING, Forwarder, Outside
from netloom.dataplane.loop import Loop
from netloom.dns import message as m
from netloom.dns.message import Message, Question
from netloom.dns.rdata.a import A
from netloom.dns.responder import Forward, Responder
from netloom.dns.wire import encode_name
from netloom.dns.zone import Zones
from netloom.model.names import Upstream

SERVER = (Upstream("192.0.2.53", from_sandbox=True),)
Make = Callable[[], Forwarder]


@pytest.fixture
def sockets() -> list[socket.socket]:
    """All that were opened."""
    return []


@pytest.fixture
def make(sockets: list[socket.socket]) -> Iterator[Make]:
    """Forwarders that share what all share."""
    loop, outside, made = Loop(), Outside(), []

    def opener(_: Upstream, family: int, kind: int) -> socket.socket:
        sockets.append(_Silent(family, kind))
        return sockets[-1]

    def forwarder() -> Forwarder:
        made.append(Forwarder(loop, opener, outside, SERVER, enabled=True))
        return made[-1]

    yield forwarder
    for one in made:
        one.close()
    assert all(sock.fileno() < 0 for sock in sockets)
    assert outside.running == 0


class _Silent(socket.socket):
    """Goes nowhere."""

    def connect(self, address: object) -> None:
        """No packet leaves the machine."""

    def send(self, data: bytes, *_: object) -> int:  # type: ignore[override]
        """Nor here."""
        return len(data)


def order(name: str, ident: int = 7) -> Forward:
    query = m.encode(Message(ident, m.RD, (Question(encode_name(name), 1),)))
    reply = Responder(Zones(), ()).respond(query)
    assert isinstance(reply, Forward)
    return reply


def ask(forwarder: Forwarder, name: str, ident: int = 7) -> list[tuple[int, str]]:
    """(rcode, source) once it is answered; ours are answered only when refused."""
    answers: list[tuple[int, str]] = []
    forwarder.forward(
        order(name, ident), tcp=False, answer=lambda data, source: answers.append((data[3] & m.RCODE, source))
    )
    return answers


def test_a_sandbox_has_its_limit(make: Make) -> None:
    one, other = make(), make()
    pending = [ask(one, f"n{number}.test") for number in range(MAX_RUNNING)]
    assert not any(pending)
    assert ask(one, "more.test") == [(m.SERVFAIL, "")]
    assert ask(other, "more.test") == []
    assert (one.forwarded, one.failed, other.forwarded) == (MAX_RUNNING, 1, 1)


def test_those_who_wait_for_the_same_answer_count(make: Make, sockets: list[socket.socket]) -> None:
    one = make()
    pending = [ask(one, "Same.test" if number % 2 else "sAME.test", number) for number in range(MAX_RUNNING)]
    assert not any(pending)
    assert ask(one, "same.test") == [(m.SERVFAIL, "")]
    assert len(sockets) == 1


def test_all_have_a_limit_and_each_its_share(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "MAX_OF_ALL", 10)
    monkeypatch.setattr(forwarding, "SHARE", 2)
    greedy, modest = make(), make()
    assert not any(ask(greedy, f"n{number}.test") for number in range(10))
    assert ask(greedy, "more.test") == [(m.SERVFAIL, "")]
    assert [ask(modest, f"m{number}.test") for number in range(3)] == [[], [], [(m.SERVFAIL, "")]]


def test_other_servers_forget_what_the_former_said(make: Make) -> None:
    one = make()
    asked = order("kept.test")
    question = Question(encode_name("kept.test"), 1)
    data = m.Record(question.name, A(bytes(4)), 60)
    one.cache.put(asked.question, asked.form, m.encode(Message(1, m.QR, (question,), (data,))), one.loop.time())
    assert ask(one, "kept.test") == [(m.NOERROR, "cache")]
    one.configure(SERVER, enabled=True)
    assert ask(one, "kept.test") == [(m.NOERROR, "cache")]
    one.configure(SERVER, enabled=False)
    assert ask(one, "kept.test") == [(m.SERVFAIL, "")]
    one.configure(SERVER, enabled=True)
    assert ask(one, "kept.test") == []
