"""Which server is asked when, and what counts as its answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.dns import message as m
from netloom.dns.cache import Form
from netloom.dns.exchange import PATIENCE, Ask, Exchange, Finish, Report, Wake
from netloom.dns.message import Message, Question, Record
from netloom.dns.rdata.a import A
from netloom.dns.responder import Forward
from netloom.dns.wire import encode_name

NAME = encode_name("Example.test")
QUESTION = Question(NAME, 1)
QUERY = m.encode(Message(0x1111, m.RD, (QUESTION,)))
ORDER = Forward(QUERY, NAME + b"\0\1\0\1", 512, Form(m.RD))
IDENT = 0x2222


def reply(
    *, ident: int = IDENT, question: Question = QUESTION, flags: int = m.QR | m.RA | m.RD, answers: int = 1
) -> bytes:
    records = (Record(question.name, A(b"\xc0\0\2\1"), 5),) * answers
    return m.encode(Message(ident, flags, (question,), records))


def exchange(servers: int = 2, *, tcp: bool = False) -> Exchange:
    return Exchange(ORDER, servers, IDENT, tcp=tcp)


def test_first_server_answers() -> None:
    one = exchange()
    ask, wake = one.start()
    assert ask == Ask(0, 0, False, b"\x22\x22" + QUERY[2:])
    assert wake == Wake(PATIENCE, 0)
    assert one.received(0, reply()) == (Finish(reply(), 0),)
    assert one.received(0, reply()) == ()
    assert one.woken(0) == ()
    assert one.expired() == ()


def test_next_server_after_patience_and_the_first_may_still_answer() -> None:
    one = exchange()
    one.start()
    assert one.woken(0)[:2] == (Report(0), Ask(1, 1, False, b"\x22\x22" + QUERY[2:]))
    assert one.received(0, reply())[-1] == Finish(reply(), 0)


def test_every_server_is_asked_twice_then_it_fails() -> None:
    one = exchange()
    commands = list(one.start())
    for attempt in range(4):
        commands += one.failed(attempt)
    assert [c.server for c in commands if isinstance(c, Ask)] == [0, 1, 0, 1]
    assert [c.server for c in commands if isinstance(c, Report)] == [0, 1, 0, 1]
    assert isinstance(commands[-1], Finish)
    assert commands[-1] == Finish(None, None)


@pytest.mark.parametrize("rcode", [m.SERVFAIL, m.REFUSED])
def test_a_server_that_fails_is_passed_over(rcode: int) -> None:
    one = exchange()
    one.start()
    commands = one.received(0, reply(flags=m.QR | rcode, answers=0))
    assert commands[0] == Ask(1, 1, False, b"\x22\x22" + QUERY[2:])


def test_nxdomain_is_an_answer() -> None:
    one = exchange()
    one.start()
    assert isinstance(one.received(0, reply(flags=m.QR | m.NXDOMAIN, answers=0))[-1], Finish)


@pytest.mark.parametrize(
    "forged",
    [
        reply(ident=0x2223),
        reply(flags=m.RD),
        reply(question=Question(encode_name("evil.test"), 1)),
        reply(question=Question(NAME, 28)),
        reply(question=Question(NAME, 1, 3)),
        reply()[:11],
        b"",
        b"\x22\x22\x81\x80" + bytes(8),
    ],
)
def test_forged_answers_are_passed_over(forged: bytes) -> None:
    one = exchange()
    one.start()
    assert one.received(0, forged) == ()
    assert one.received(1, reply()) == ()  # nobody was asked there
    assert isinstance(one.received(0, reply())[-1], Finish)


def test_an_answer_in_another_case_counts() -> None:
    one = exchange()
    one.start()
    assert isinstance(one.received(0, reply(question=Question(NAME.lower(), 1)))[-1], Finish)


def test_truncated_is_asked_again_over_tcp() -> None:
    one = exchange()
    one.start()
    (ask,) = one.received(0, reply(flags=m.QR | m.TC, answers=0))
    assert isinstance(ask, Ask)
    assert (ask.server, ask.tcp) == (0, True)
    assert one.received(ask.attempt, reply()) == (Finish(reply(), 0),)


def test_truncated_and_no_tcp_gives_what_there_is() -> None:
    one = exchange()
    one.start()
    cut = reply(flags=m.QR | m.TC, answers=0)
    (ask,) = one.received(0, cut)
    assert isinstance(ask, Ask)
    assert one.failed(ask.attempt) == (Finish(cut, 0),)


def test_an_attempt_that_failed_wakes_nobody() -> None:
    one = exchange()
    one.start()
    assert one.failed(0)[1] == Ask(1, 1, False, b"\x22\x22" + QUERY[2:])
    assert one.woken(0) == ()
    assert one.woken(1)[0] == Report(1)


def test_deadline() -> None:
    one = exchange(1)
    one.start()
    assert one.expired() == (Report(0), Finish(None, None))
    assert one.received(0, reply()) == ()


def test_tcp_client_is_served_over_tcp_once_each() -> None:
    one = exchange(tcp=True)
    asks = [c for c in (*one.start(), *one.failed(0), *one.failed(1)) if isinstance(c, Ask)]
    assert [(a.server, a.tcp) for a in asks] == [(0, True), (1, True)]


@given(st.lists(st.tuples(st.sampled_from("rfw"), st.integers(0, 5), st.binary(max_size=60)), max_size=30))
def test_any_events_end_with_one_answer(events: list[tuple[str, int, bytes]]) -> None:
    one = exchange(3)
    commands = list(one.start())
    for event, attempt, raw in events:
        if event == "r":
            commands += one.received(attempt, b"\x22\x22" + raw if len(raw) % 2 else raw)
        elif event == "f":
            commands += one.failed(attempt)
        else:
            commands += one.woken(attempt) if attempt < len([c for c in commands if isinstance(c, Ask)]) else ()
    commands += one.expired()
    finished = [c for c in commands if isinstance(c, Finish)]
    assert len(finished) == 1
    assert finished[0].answer is None or finished[0].answer[:2] == b"\x22\x22"
    assert len([c for c in commands if isinstance(c, Ask)]) <= 7
