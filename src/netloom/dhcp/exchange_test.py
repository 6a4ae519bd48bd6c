from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.dhcp import message as m
from netloom.dhcp.exchange import Exchange, Identity, State, farewell
from netloom.dhcp.message import Message, parse
from netloom.dhcp.terms_test import packed, reply
from netloom.model.lease import Terms

ME = Identity(bytes.fromhex("020000000001"), b"\xffname", "web")
XID = 77


def exchange(state: State = State.SELECTING, **fields: Any) -> Exchange:
    return Exchange(ME, XID, fields.pop("check", lambda terms: ""), state=state, **fields)


def answer(kind: int, address: str = "10.0.0.9", *, xid: int = XID, mac: bytes = ME.mac, **options: bytes) -> bytes:
    plain = reply(address, KIND=bytes((kind,)), **options)
    return Message(reply=True, xid=xid, mac=mac, yours=plain.yours, options=plain.options).encode()


def test_from_discover_to_a_lease() -> None:
    talk = exchange(address="10.0.0.9")
    first = parse(talk.send().encode())
    assert (first.kind, first.flags, first.client) == (m.DISCOVER, m.BROADCAST, bytes(4))
    assert first.options[m.REQUESTED] == packed("10.0.0.9")
    assert (first.options[m.HOST_NAME], first.options[m.CLIENT_ID]) == (b"web", ME.client_id)
    assert talk.take(answer(m.OFFER, "10.0.0.12"))
    second = parse(talk.send().encode())
    assert (second.kind, second.options[m.SERVER]) == (m.REQUEST, packed("10.0.0.1"))
    assert second.options[m.REQUESTED] == packed("10.0.0.12")
    assert talk.take(answer(m.ACK, "10.0.0.12"))
    assert talk.state is State.GRANTED
    assert talk.terms is not None
    assert talk.terms.address == "10.0.0.12/24"


def test_renewing_names_our_address_and_nothing_else() -> None:
    talk = exchange(State.RENEWING, address="10.0.0.9", server="10.0.0.1")
    asked = parse(talk.send().encode())
    assert (asked.client, asked.flags) == (packed("10.0.0.9"), 0)
    assert m.REQUESTED not in asked.options
    assert m.SERVER not in asked.options
    assert talk.take(answer(m.ACK))
    assert talk.state is State.GRANTED


def test_rebooting_names_it_as_requested() -> None:
    asked = parse(exchange(State.REBOOTING, address="10.0.0.9").send().encode())
    assert (asked.kind, asked.client, asked.options[m.REQUESTED]) == (m.REQUEST, bytes(4), packed("10.0.0.9"))
    assert m.SERVER not in asked.options


@pytest.mark.parametrize(
    "answered",
    [
        answer(m.OFFER, xid=78),
        answer(m.OFFER, mac=bytes(6)),
        answer(m.ACK),  # of what nobody has asked for
        Message(xid=XID, mac=ME.mac, options=reply(KIND=bytes((m.OFFER,))).options).encode(),  # a client's
        b"",
        bytes(300),
    ],
)
def test_what_is_not_for_us(answered: bytes) -> None:
    talk = exchange()
    assert not talk.take(answered)
    assert talk.state is State.SELECTING


def test_an_offer_that_cannot_be_used_waits_for_a_better_one() -> None:
    def check(terms: Terms) -> str:
        return "offers what is not ours" if terms.address == "10.0.0.66/24" else ""

    talk = exchange(check=check)
    assert not talk.take(answer(m.OFFER, "10.0.0.66"))
    assert talk.complaint == "the server 10.0.0.1 offers what is not ours"
    assert talk.take(answer(m.OFFER))


def test_a_grant_of_another_address() -> None:
    talk = exchange()
    talk.take(answer(m.OFFER))
    assert not talk.take(answer(m.ACK, "10.0.0.10"))
    assert "was asked for 10.0.0.9 and grants 10.0.0.10/24" in talk.complaint
    assert talk.state is State.REQUESTING


def test_a_grant_of_a_server_that_we_did_not_choose() -> None:
    talk = exchange()
    talk.take(answer(m.OFFER))
    assert not talk.take(answer(m.ACK, SERVER=packed("10.0.0.2")))


def test_a_refusal_of_what_was_offered_begins_anew() -> None:
    talk = exchange()
    talk.take(answer(m.OFFER))
    assert not talk.take(answer(m.NAK, SERVER=packed("10.0.0.2")))
    assert talk.take(answer(m.NAK, TEXT=b"no\x1b[31m more"))
    assert talk.state is State.SELECTING
    assert talk.complaint == "the server 10.0.0.1 offered 10.0.0.9, then refused it (no?[31m more)"
    assert m.REQUESTED not in talk.send().options


@pytest.mark.parametrize("state", [State.RENEWING, State.REBINDING, State.REBOOTING])
def test_a_refusal_of_what_we_have(state: State) -> None:
    talk = exchange(state, address="10.0.0.9", server="10.0.0.1", only=("10.0.0.1",))
    assert not talk.take(answer(m.NAK, SERVER=packed("10.0.0.2")))
    assert talk.take(answer(m.NAK))
    assert talk.state is State.REFUSED


def test_farewells() -> None:
    release = farewell(ME, 5, m.RELEASE, "10.0.0.9", "10.0.0.1")
    assert (release.client, release.options[m.SERVER]) == (packed("10.0.0.9"), packed("10.0.0.1"))
    decline = farewell(ME, 5, m.DECLINE, "10.0.0.9", "10.0.0.1")
    assert (decline.client, decline.options[m.REQUESTED]) == (bytes(4), packed("10.0.0.9"))


@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from(["10.0.0.9", "10.0.0.10"]), st.binary(max_size=8)), max_size=8
    )
)
def test_whatever_comes(answers: list[tuple[int, str, bytes]]) -> None:
    talk = exchange()
    for kind, address, garbage in answers:
        talk.take(answer(kind, address, **({"LEASE_TIME": garbage} if len(garbage) > 4 else {})))
        talk.take(garbage)
        if talk.over:
            break
        talk.send()
    assert (talk.terms is not None) == (talk.state is State.GRANTED)
