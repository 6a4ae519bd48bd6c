"""What is said again and how long it is waited for, on a LAN where waiting takes no time."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from netloom.dhcp import message as m
from netloom.dhcp.exchange import Exchange, Identity, State
from netloom.dhcp.exchange_test import answer
from netloom.dhcp.frame import ArpSeen, Datagram
from netloom.dhcp.message import parse
from netloom.dhcp.terms_test import packed
from netloom.engine.conversation import Conversation
from netloom.testing.fake_dhcp import FakeDhcp, FakePort

ME = Identity(bytes.fromhex("020000000001"), b"\xffname")
SERVER = bytes.fromhex("020000000099")
XID = 77


class Lan:
    """Answers the n-th DHCP message with `script[n]`, later ones with the last."""

    def __init__(self, *script: Iterable[bytes], owners: dict[str, bytes] | None = None) -> None:
        self.script = list(script)
        self.said: list[bytes] = []
        self.owners = {packed(address): mac for address, mac in (owners or {}).items()}
        self.fake = FakeDhcp()
        self.fake.answer = self.hear

    def hear(self, frame: bytes) -> list[Datagram | ArpSeen]:
        if frame[12:14] == b"\x08\x06":
            owner = self.owners.get(frame[38:42])
            return [ArpSeen(owner, frame[38:42], bytes(4))] if owner else []
        self.said.append(frame)
        replies = self.script[min(len(self.said), len(self.script)) - 1] if self.script else []
        return [Datagram(SERVER, packed("10.0.0.1"), b"\xff" * 4, reply) for reply in replies]

    def kinds(self) -> list[int]:
        return [parse(frame[42:]).kind for frame in self.said]

    def talk(self, state: State = State.SELECTING, seconds: float = 15, **fields: str) -> tuple[Conversation, Exchange]:
        exchange = Exchange(ME, XID, lambda terms: "is bad" if "66" in terms.address else "", state=state, **fields)
        return Conversation(FakePort(self.fake), exchange, ME, seconds), exchange


async def test_nobody_answers() -> None:
    lan = Lan()
    talk, exchange = lan.talk()
    assert not await talk.run()
    assert lan.kinds() == [m.DISCOVER] * 4  # after 0, 1, 3 and 7 seconds
    assert [parse(frame[42:]).secs for frame in lan.said] == [0, 1, 3, 7]
    assert exchange.complaint == ""


async def test_an_answer_that_was_lost() -> None:
    lan = Lan([], [answer(m.OFFER)], [], [answer(m.ACK)])
    talk, _ = lan.talk()
    assert await talk.run()
    assert lan.kinds() == [m.DISCOVER, m.DISCOVER, m.REQUEST, m.REQUEST]
    assert talk.server_mac == SERVER


async def test_what_cannot_be_used_is_not_waited_for_to_the_end() -> None:
    lan = Lan([answer(m.OFFER, "10.0.0.66")])
    talk, exchange = lan.talk(seconds=100)
    assert not await talk.run()
    assert len(lan.said) <= 3
    assert exchange.complaint == "the server 10.0.0.1 is bad"


async def test_a_server_that_offers_and_refuses_for_ever() -> None:
    lan = Lan(*[[answer(m.OFFER)], [answer(m.NAK)]] * 50)
    talk, exchange = lan.talk()
    assert not await talk.run()
    assert len(lan.said) <= 30  # one round a second
    assert "then refused it" in exchange.complaint


async def test_renewing_speaks_to_one() -> None:
    lan = Lan([answer(m.ACK)])
    talk, _ = lan.talk(State.RENEWING, address="10.0.0.9", server="10.0.0.1")
    assert await talk.run(to_mac=SERVER, server="10.0.0.1")
    (frame,) = lan.said
    assert (frame[:6], frame[26:30], frame[30:34]) == (SERVER, packed("10.0.0.9"), packed("10.0.0.1"))


async def test_an_address_that_a_neighbour_has() -> None:
    first, second = [[answer(kind, address)] for address in ("10.0.0.9", "10.0.0.10") for kind in (m.OFFER, m.ACK)], []
    lan = Lan(first[0], first[1], second, first[2], first[3], owners={"10.0.0.9": b"\2\0\0\0\0\x55"})
    talk, exchange = lan.talk()
    assert await talk.settle()
    assert lan.kinds() == [m.DISCOVER, m.REQUEST, m.DECLINE, m.DISCOVER, m.REQUEST]
    assert exchange.terms is not None
    assert exchange.terms.address == "10.0.0.10/24"


@pytest.mark.parametrize("seconds", [4, 15])
async def test_a_server_that_gives_what_others_have(seconds: float) -> None:
    lan = Lan(*[[answer(m.OFFER)], [answer(m.ACK)], []] * 9, owners={"10.0.0.9": b"\2\0\0\0\0\x55"})
    talk, exchange = lan.talk(seconds=seconds)
    assert not await talk.settle()
    assert lan.kinds().count(m.DECLINE) <= 3
    assert exchange.complaint.endswith("gives 10.0.0.9, which 02:00:00:00:00:55 on its LAN uses already")
