"""The query log: bounded, and kept only while somebody reads it."""

from __future__ import annotations

import pytest

from netloom.dataplane import plane as planes
from netloom.dataplane.loop import Loop
from netloom.dataplane.plane import Plane
from netloom.dataplane.watch import KEPT, Watch, told
from netloom.dns import message as m
from netloom.dns.message import Message, Question
from netloom.dns.wire import encode_name

QUERY = m.encode(Message(7, m.RD, (Question(encode_name("Web.test"), 28),)))
REPLY = m.encode(Message(7, m.QR | m.NXDOMAIN, (Question(encode_name("Web.test"), 28),)))


def test_what_is_told_and_what_the_client_gets() -> None:
    watch, given, clock = Watch(), [], iter((10.0, 10.25))
    answer = told((watch,), "s1", QUERY, lambda *what: given.append(what), lambda: next(clock))
    answer(REPLY, "cache")
    assert given == [(REPLY, "cache")]
    (one,) = watch.after(0)
    assert (one.sandbox, one.name, one.kind, one.rcode, one.source) == ("s1", "Web.test.", 28, m.NXDOMAIN, "cache")
    assert one.took == 0.25
    assert watch.after(one.number) == ()


def test_rubbish_is_recorded_too_and_the_oldest_go() -> None:
    watch = Watch()
    for _ in range(KEPT + 5):
        watch.record("s1", b"\0" * 12, REPLY, "", 0.0)
    kept = watch.after(0)
    assert (len(kept), kept[0].number, watch.recorded, kept[0].name) == (KEPT, 6, KEPT + 5, "")


def test_recording_ends_when_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planes, "LASTING", 0.02)
    loop = Loop()
    plane = Plane(loop)
    plane.sight("n1", None)
    assert plane._watches == {}
    plane.sight("n1", 0)
    assert set(plane._watches) == {"n1"}
    while plane._watches:
        loop.step(1.0)
    plane.close()
