"""Policies by DNS name: addresses count once a container was told them, and for as long as their TTL says."""

from __future__ import annotations

import socket

import pytest
from town import WEB, Town

from netloom.dns import message as m
from netloom.dns.message import Message, Question
from netloom.dns.wire import encode_name
from netloom.testing.hosts import OUTSIDE4, Netns, eventually
from netloom.testing.name_servers import NameServer

pytestmark = [pytest.mark.root, pytest.mark.kernel]


def look_up(place: Netns, name: str) -> list[str]:
    """Addresses, as the container's resolver answers."""
    query = m.encode(Message(7, m.RD, (Question(encode_name(name), 1),)))
    with place.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(30)
        sock.connect(("127.0.0.11", 53))
        sock.send(query)
        return [str(record.data) for record in m.decode(sock.recv(4096)).answers]


def test_addresses_that_a_name_was_answered_with(town: Town) -> None:
    web, db = town.places["po-web"], town.places["po-db"]
    entries = [
        {"from": WEB, "to": {"name": "shop.test"}, "ports": [80]},
        {"from": WEB, "to": {"name": "*.every.test"}},
    ]
    with (
        NameServer(town.daemon.host.outside, OUTSIDE4, says=OUTSIDE4, ttl=2),
        town.policy(default={"po-app": "deny", "po-far": "deny"}, allow=entries),
    ):
        assert look_up(web, "other.test") == [OUTSIDE4]
        assert web.misses(OUTSIDE4, 80), "nobody speaks of that name"
        assert look_up(db, "shop.test") == [OUTSIDE4]
        assert db.misses(OUTSIDE4, 80), "it is another's"
        assert look_up(web, "shop.test") == [OUTSIDE4]
        assert web.ask(OUTSIDE4, 80).tag == "outside"
        assert web.misses(OUTSIDE4, 81)
        assert town.places["po-far"].misses(OUTSIDE4, 80), "it has not asked"
        eventually(lambda: web.misses(OUTSIDE4, 80), what="the end of its time")
        look_up(web, "Shop.Test")
        assert web.reaches(OUTSIDE4, 80), "asked again, from the cache or not"
        assert look_up(web, "a.every.test") == [OUTSIDE4]
        assert web.reaches(OUTSIDE4, 81, "udp")
        town.daemon.kill()
        eventually(lambda: web.misses(OUTSIDE4, 80), what="the end of its time")
        look_up(web, "shop.test")
        assert web.reaches(OUTSIDE4, 80), "no daemon is needed"
        town.daemon.start()
    with (
        town.policy(deny=[{"from": WEB, "to": {"name": "shop.test"}}]),
        NameServer(town.daemon.host.outside, OUTSIDE4, says=OUTSIDE4, ttl=60),
    ):
        look_up(web, "fresh.test")
        assert web.reaches(OUTSIDE4, 80)
        eventually(lambda: look_up(web, "shop.test") and web.misses(OUTSIDE4, 80), what="a denial")
    assert web.reaches(OUTSIDE4, 80), "what was learnt is forgotten with the policy"
