"""Who reaches whom, and as whom: every path, with bridged packets passing the IP hooks and without."""

from __future__ import annotations

import json

import pytest
from world import (
    HOST4,
    HOST6,
    LAN4,
    LAN6,
    LAN_HOST4,
    LAN_HOST6,
    OUTSIDE4,
    OUTSIDE6,
    PROTOCOLS,
    SERVICE,
    World,
    address,
)

from netloom.testing.hosts import Proto, eventually

pytestmark = pytest.mark.root


def both(name: str) -> tuple[str, str]:
    return address(name), address(name, 6)


WEB, PEER, BLUE, VAULT, VAULT2, BARE = (both(n) for n in ("web", "peer", "blue", "vault", "vault2", "bare"))
RED_GW, BLUE_GW, VAULT_GW, OPEN_GW = (both(f"gw:{n}") for n in ("red", "blue", "vault", "open"))
WAY, WAY2, NAKED, TRUST, TRUST2 = (both(n) for n in ("way", "way2", "naked", "trust", "trust2"))
PLAIN, PLAIN_GW = address("plain"), address("gw:plain")
HOST, OUTSIDE, LAN, LAN_HOST = (HOST4, HOST6), (OUTSIDE4, OUTSIDE6), (LAN4, LAN6), (LAN_HOST4, LAN_HOST6)
NOBODY = (None, None)

# Client, address asked (IPv4, IPv6), port, client's address as the server sees it (IPv4, IPv6), None: no answer.
DUAL = [
    # within a network
    ("peer", WEB, 80, PEER),
    ("vault", VAULT2, 80, VAULT),
    # between networks
    ("blue", WEB, 80, NOBODY),
    ("web", BLUE, 80, NOBODY),
    ("bare", WEB, 80, NOBODY),
    ("web", VAULT, 80, NOBODY),
    ("vault", WEB, 80, NOBODY),
    # out
    ("web", OUTSIDE, 80, HOST),
    ("web", LAN, 80, LAN_HOST),
    ("bare", OUTSIDE, 80, BARE),
    ("vault", OUTSIDE, 80, NOBODY),
    # in, past the published ports
    ("outside", WEB, 80, NOBODY),
    ("lan", WEB, 80, NOBODY),
    ("outside", VAULT, 80, NOBODY),
    ("outside", BARE, 80, NOBODY),
    # a routed network: published ports by the container's own address, from everywhere
    ("outside", WAY, 80, OUTSIDE),
    ("lan", WAY, 80, LAN),
    ("blue", WAY, 80, BLUE),
    ("way2", WAY, 80, WAY2),
    ("vault", WAY, 80, NOBODY),
    ("outside", WAY2, 80, NOBODY),
    ("blue", WAY2, 80, NOBODY),
    ("way", OUTSIDE, 80, WAY),
    ("way", BLUE, 80, NOBODY),
    ("way", HOST, 8080, WAY),
    # an unprotected one: all ports, but not from other networks
    ("outside", NAKED, 80, OUTSIDE),
    ("blue", NAKED, 80, NOBODY),
    ("way", NAKED, 80, NOBODY),
    ("naked", OUTSIDE, 80, HOST),
    # one that trusts an interface: published ports by that
    ("outside", TRUST, 80, OUTSIDE),
    ("outside", TRUST2, 80, NOBODY),
    ("lan", TRUST, 80, NOBODY),
    ("blue", TRUST, 80, NOBODY),
    ("outside", HOST, 7080, OUTSIDE),
    ("lan", LAN_HOST, 7080, LAN),
    # one whose containers leave with an address of the host
    ("named", LAN, 80, HOST),
    # the host's own programs to containers
    ("host", WEB, 80, RED_GW),
    ("host", VAULT, 80, VAULT_GW),
    # the host's own services
    ("web", RED_GW, SERVICE, WEB),
    ("web", HOST, SERVICE, WEB),
    ("blue", RED_GW, SERVICE, BLUE),
    ("vault", VAULT_GW, SERVICE, VAULT),
    ("outside", HOST, SERVICE, OUTSIDE),
    # a port published on every address
    ("outside", HOST, 8080, OUTSIDE),
    ("outside", RED_GW, 8080, OUTSIDE),
    ("lan", LAN_HOST, 8080, LAN),
    ("lan", HOST, 8080, LAN),
    ("host", HOST, 8080, HOST),
    ("host", RED_GW, 8080, RED_GW),
    ("host", LAN_HOST, 8080, LAN_HOST),
    ("blue", HOST, 8080, BLUE),
    ("blue", BLUE_GW, 8080, BLUE),
    ("blue", RED_GW, 8080, BLUE),
    ("bare", HOST, 8080, BARE),
    ("peer", HOST, 8080, RED_GW),
    ("peer", RED_GW, 8080, RED_GW),
    ("web", HOST, 8080, RED_GW),
    ("web", RED_GW, 8080, RED_GW),
    ("vault", HOST, 8080, NOBODY),
    ("vault", VAULT_GW, 8080, NOBODY),
    # ports that an internal network would publish
    ("outside", HOST, 6080, NOBODY),
    ("host", HOST, 6080, NOBODY),
    ("blue", HOST, 6080, NOBODY),
    ("vault2", VAULT_GW, 6080, NOBODY),
    # between networks of others, by forwarding that netloom switched on
    ("outside", LAN, 80, NOBODY),
    ("lan", OUTSIDE, 80, NOBODY),
]

SINGLE = [
    # one IPv4 address
    ("outside", HOST4, 8081, OUTSIDE4),
    ("host", HOST4, 8081, HOST4),
    ("blue", HOST4, 8081, BLUE[0]),
    ("peer", HOST4, 8081, RED_GW[0]),
    ("lan", HOST4, 8081, LAN4),
    ("lan", LAN_HOST4, 8081, None),
    ("host", "127.0.0.1", 8081, None),
    ("outside", HOST6, 8081, None),
    # one IPv6 address
    ("outside", HOST6, 8083, OUTSIDE6),
    ("host", HOST6, 8083, HOST6),
    ("blue", HOST6, 8083, BLUE[1]),
    ("host", "::1", 8083, None),
    ("lan", LAN_HOST6, 8083, None),
    # loopback
    ("host", "127.0.0.1", 8080, RED_GW[0]),
    ("host", "127.0.0.1", 8082, RED_GW[0]),
    ("host", "127.0.0.9", 8080, RED_GW[0]),
    ("host", "127.0.0.9", 8082, None),
    ("host", HOST4, 8082, None),
    ("outside", HOST4, 8082, None),
    ("blue", HOST4, 8082, None),
    ("host", "::1", 8080, RED_GW[0]),
    ("host", "::1", 8084, RED_GW[0]),
    ("outside", HOST6, 8084, None),
    # an IPv4-only container
    ("outside", HOST4, 9080, OUTSIDE4),
    ("outside", HOST6, 9080, PLAIN_GW),
    ("outside", HOST6, 9083, PLAIN_GW),
    ("lan", LAN_HOST6, 9080, PLAIN_GW),
    ("lan", LAN_HOST6, 9083, None),
    ("host", "::1", 9080, PLAIN_GW),
    ("host", HOST6, 9080, PLAIN_GW),
    ("blue", HOST6, 9080, PLAIN_GW),
    ("blue", BLUE_GW[1], 9080, PLAIN_GW),
    ("vault", VAULT_GW[1], 9080, None),
    ("vault", HOST6, 9083, None),
    ("plain", HOST4, 8080, PLAIN),
    ("plain", HOST4, 9080, PLAIN_GW),
    ("plain", OUTSIDE4, 80, HOST4),
]

PINGS = [
    ("web", PEER, True),
    ("web", RED_GW, True),
    ("web", HOST, True),
    ("web", OUTSIDE, True),
    ("web", BLUE, False),
    ("web", VAULT, False),
    ("vault", VAULT2, True),
    ("vault", VAULT_GW, True),
    ("vault", OUTSIDE, False),
    ("outside", WEB, False),
    ("outside", VAULT, False),
    ("host", WEB, True),
    ("host", VAULT, True),
    ("outside", WAY2, True),
    ("blue", WAY2, True),
    ("way", BLUE, False),
    ("outside", NAKED, True),
    ("blue", NAKED, False),
    ("outside", TRUST, False),
]

FLAT = [(who, to[f], port, sees[f]) for who, to, port, sees in DUAL for f in (0, 1)] + SINGLE
CASES = [(*case, proto) for case in FLAT for proto in PROTOCOLS]


def label(value: object) -> str:
    return "nobody" if value is None else str(value)


@pytest.mark.parametrize(("who", "to", "port", "sees", "proto"), CASES, ids=label)
def test_reach(world: World, who: str, to: str, port: int, sees: str | None, proto: Proto) -> None:
    if sees is None:
        assert not world.places[who].reaches(to, port, proto, timeout=0.15)
    else:
        assert world.places[who].ask(to, port, proto).address == sees


@pytest.mark.parametrize(("who", "to", "answers"), [(w, to[f], yes) for w, to, yes in PINGS for f in (0, 1)], ids=label)
def test_ping(world: World, who: str, to: str, answers: bool) -> None:
    assert world.places[who].ping(to, timeout=2 if answers else 0.2) is answers


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize(("port", "sees"), [(8080, RED_GW[0]), (9080, PLAIN_GW), (8083, None)], ids=label)
def test_link_local_clients_and_addresses(world: World, port: int, sees: str | None, proto: Proto) -> None:
    for place, link in ((world.host, "eth0"), (world.host.outside, "wan")):
        eventually(lambda p=place, d=link: not p.run("ip", "-6", "addr", "show", "dev", d, "tentative"))  # type: ignore[misc]
    shown = world.host.run("ip", "-j", "-6", "addr", "show", "dev", "eth0", "scope", "link")
    link_local = next(a["local"] for link in json.loads(shown) for a in link.get("addr_info", ()) if "local" in a)
    if sees is None:
        assert not world.host.outside.reaches(f"{link_local}%wan", port, proto, timeout=0.15)
    else:
        assert world.host.outside.ask(f"{link_local}%wan", port, proto).address == sees
