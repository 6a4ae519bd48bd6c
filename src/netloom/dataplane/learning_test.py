"""What is learnt of answers: whose names, for whom, for how long; before the answer goes out."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import pytest

from netloom.dataplane.learning import Learning, matches
from netloom.dns import message as m
from netloom.dns.message import Message, Question, Record
from netloom.dns.rdata.a import A
from netloom.dns.rdata.aaaa import AAAA
from netloom.dns.wire import encode_name
from netloom.kernel.learnt import Learnt
from netloom.model.errors import KernelError
from netloom.model.names import Resolver
from netloom.model.policy import NameRule


class Names:
    """The sets, as a list of what was done to them."""

    def __init__(self) -> None:
        self.done: list[tuple[str, set[Learnt], int]] = []
        self.broken = False

    def put(self, learnt: Iterable[Learnt], ttl: int) -> None:
        if self.broken:
            raise KernelError(5, "test")
        self.done.append(("put", set(learnt), ttl))

    def forget(self, learnt: Iterable[Learnt]) -> None:
        self.done.append(("forget", set(learnt), 0))


def reply(name: str, *addresses: str, ttl: int = 30) -> bytes:
    question = Question(encode_name(name), 28 if ":" in "".join(addresses) else 1)
    records = tuple(
        Record(
            question.name,
            AAAA(socket.inet_pton(socket.AF_INET6, a)) if ":" in a else A(socket.inet_aton(a)),
            ttl,
        )
        for a in addresses
    )
    return m.encode(Message(1, m.QR, (question,), records))


def test_answers_teach_before_they_go_out() -> None:
    names, now, told = Names(), [100.0], []
    learning = Learning(names, lambda: now[0])  # type: ignore[arg-type]
    rules = (NameRule("a.test", True, (("tcp", 80), ("udp", 53))), NameRule("*.b.test", False))
    learning.configure(Resolver((), names=rules, senders=("10.0.0.2", "fd00::2")))
    answer = learning.before(lambda data, _: told.append((data, len(names.done))))
    answer(reply("A.Test", "192.0.2.1", ttl=0), "up")
    first = {Learnt(True, "10.0.0.2", "192.0.2.1", *port) for port in (("tcp", 80), ("udp", 53))}
    assert names.done == [("put", first, 1)]
    assert told == [(reply("A.Test", "192.0.2.1", ttl=0), 1)]
    answer(reply("x.b.test", "2001:db8::1"), "up")
    second = Learnt(False, "fd00::2", "2001:db8::1")
    assert names.done[1:] == [("put", {second}, 30)]
    answer(reply("b.test", "192.0.2.1"), "up")
    answer(b"garbage", "up")
    assert len(names.done) == 2
    assert len(told) == 4
    now[0] += 5
    learning.close()
    assert names.done[2:] == [("forget", {second}, 0)], "the first has gone by itself"
    names.broken = True
    answer(reply("a.test", "192.0.2.1"), "up")
    assert len(told) == 5, "answered all the same"


def test_what_a_predecessor_taught_goes_with_the_address() -> None:
    first, second = Names(), Names()
    resolver = Resolver((), names=(NameRule("*.test", True),), senders=("10.0.0.2", "10.1.0.2"))
    before, after = (Learning(names, lambda: 100.0) for names in (first, second))  # type: ignore[arg-type]
    before.configure(resolver)
    before.before(lambda *_: None)(reply("a.test", "192.0.2.1"), "up")
    after.configure(resolver)
    after.adopt(before.standing)
    after.configure(Resolver((), names=resolver.names, senders=("10.1.0.2",)))
    after.close()
    before.leave()
    before.close()
    assert len(first.done) == 1
    said = [("forget", {Learnt(True, source, "192.0.2.1")}, 0) for source in resolver.senders]
    assert second.done == said


@pytest.mark.parametrize(
    ("pattern", "name", "is_meant"),
    [
        ("a.test", "a.test", True),
        ("a.test", "b.a.test", False),
        ("*.a.test", "b.a.test", True),
        ("*.a.test", "c.b.a.test", True),
        ("*.a.test", "a.test", False),
        ("*.a.test", "ba.test", False),
        ("*.a.test", ".a.test", False),
    ],
)
def test_patterns(pattern: str, name: str, is_meant: bool) -> None:
    assert matches(pattern, name) is is_meant
