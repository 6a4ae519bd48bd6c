"""Records of a network's own: how they are written, and what is answered from them."""

from __future__ import annotations

import pytest

from netloom.dns import message as m
from netloom.dns.message import Message, Question
from netloom.dns.records import parse
from netloom.dns.responder import Forward, Responder
from netloom.dns.wire import Reader, encode_name, name_text
from netloom.dns.zone import Zones
from netloom.model.errors import InvalidArgument
from netloom.model.names import NameEntry

TEXT = """
  db A 192.0.2.7; DB aaaa fd00::7
  _http._tcp.web SRV 0 5 8080 web ; note TXT "v=1; \\"all\\"" more
  *.apps A 192.0.2.8
  y.shop A 192.0.2.9
  two A 192.0.2.1; two A 192.0.2.2; two A 192.0.2.1
  mail MX 10 mail.example.test
  9.2.0.192.in-addr.arpa PTR printer.lan
"""


def responder() -> Responder:
    zones = Zones()
    zones.put(NameEntry("n1", "u1", "e1", "s1", ("web", "*.shop"), "web.u1", "172.18.0.2"))
    zones.put(NameEntry("n1", "u1", "e2", "s2", ("two", "x.shop"), "two.u1", "172.18.0.3"))
    return Responder(zones, ("n1",), (), (("n1", TEXT),))


def ask(responder: Responder, name: str, kind: int = 1) -> list[str] | None:
    """None: forwarded."""
    query = m.encode(Message(1, m.RD, (Question(encode_name(name), kind),)))
    reply = responder.respond(query)
    if isinstance(reply, Forward):
        return None
    assert isinstance(reply, bytes)
    quick = responder.quick(query)
    assert quick is not None
    shown = sorted(str(record.data) for record in m.decode(reply).answers)
    assert sorted(str(record.data) for record in m.decode(quick).answers) == shown
    return shown


def test_they_are_answered_in_their_network() -> None:
    asked = responder()
    assert ask(asked, "db") == ["192.0.2.7"]
    assert ask(asked, "db.u1") == ["192.0.2.7"]
    assert ask(asked, "dB", 28) == ["fd00::7"]
    assert ask(asked, "db", 16) == []  # ours, whatever is asked
    assert ask(asked, "two") == ["172.18.0.3", "192.0.2.1", "192.0.2.2"]
    assert ask(asked, "9.2.0.192.in-addr.arpa", 12) == ["printer.lan."]
    assert ask(asked, "other") is None
    assert ask(asked, "web", 16) is None  # a container's name, as with Docker
    assert ask(Responder(Zones(), ("n2",), (), (("n1", TEXT),)), "db") is None


def test_services_texts_and_mail() -> None:
    table = parse(TEXT)
    (srv,) = table[encode_name("_http._tcp.web")][33]
    reader = Reader(srv.data)  # type: ignore[union-attr]
    assert [reader.u16(), reader.u16(), reader.u16(), name_text(reader.name())] == [0, 5, 8080, "web."]
    (txt,) = table[encode_name("note")][16]
    assert txt.data == b'\x0av=1; "all"\x04more'  # type: ignore[union-attr]
    (mx,) = table[encode_name("mail")][15]
    assert mx.data == b"\0\x0a" + encode_name("mail.example.test")  # type: ignore[union-attr]


def test_wildcards_answer_where_no_name_does() -> None:
    asked = responder()
    assert ask(asked, "a.apps") == ["192.0.2.8"]
    assert ask(asked, "a.b.APPS.u1") == ["192.0.2.8"]
    assert ask(asked, "apps") is None
    assert ask(asked, "a.shop") == ["172.18.0.2"]
    assert ask(asked, "a.b.shop.u1") == ["172.18.0.2"]
    assert ask(asked, "x.shop") == ["172.18.0.3"]  # a name of its own
    assert ask(asked, "y.shop") == ["192.0.2.9"]  # likewise a record of its own
    assert ask(asked, "shop") is None
    asked.zones.drop("e1")
    assert ask(asked, "a.shop") is None


def test_a_star_alone_is_no_wildcard() -> None:
    zones = Zones()
    zones.put(NameEntry("n1", "u1", "e1", "s1", ("*",), "", "172.18.0.2"))
    assert ask(Responder(zones, ("n1",)), "example.test") is None


def test_what_is_remembered_is_bounded() -> None:
    asked = responder()
    for number in range(10_000):
        ask(asked, f"n{number}.apps")
        asked.respond(m.encode(Message(1, m.RD, (Question(encode_name(f"n{number}.test"), 1),))))
    assert len(asked._ready) <= 4096


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("db", "NAME TYPE DATA"),
        ("db A", "NAME TYPE DATA"),
        ("db CNAME web", "known are A, AAAA"),
        ("db A 1.2.3", '"db A 1.2.3"'),
        ("db A 192.0.2.1 192.0.2.2", "one word"),
        ("db AAAA 192.0.2.1", "192.0.2.1"),
        ("a..b A 192.0.2.1", "not a name"),
        ("x SRV 0 5 web", "PRIORITY"),
        ("x SRV 0 5 70000 web", "65535"),
        ("x MX web", "PREFERENCE"),
        ('x TXT "open', "quote"),
        (f"x TXT {'a' * 256}", "255"),
        ("x A 192.0.2.1;" * 1001, "1000"),
    ],
)
def test_bad_ones_are_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse(text)
    assert says in str(refused.value) + refused.value.remedy
