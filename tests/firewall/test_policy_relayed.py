"""Policies and the relay: what comes by IPv6 to an IPv4-only container is judged like what comes by IPv4."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from town import Town, carries, cut

from netloom.testing.checker import check
from netloom.testing.hosts import OUTSIDE6, Netns, Proto, eventually

pytestmark = [pytest.mark.root, pytest.mark.kernel]

V4, V4_ADDRESS = "po-v4", "10.82.0.10"
HOST6 = "2001:db8:ff::2"
OUTER, SERVER = {"cidr": f"{OUTSIDE6}/128"}, {"container": V4}
WEB = {"container": "po-web"}
PORTS: tuple[tuple[Proto, int, int], ...] = (
    ("tcp", 9080, 80),
    ("udp", 9081, 81),
    ("tcp", 9180, 180),  # published on one address alone
    ("udp", 9181, 181),
    ("tcp", 9200, 9200),  # of a range
    ("udp", 9200, 9200),
)


@pytest.fixture(scope="module")
def served(town: Town) -> Iterator[Town]:
    """A container on a network without IPv6, with published ports of every kind."""
    daemon = town.daemon
    daemon.docker("network", "create", "--subnet", "10.82.0.0/24", V4)
    published = ["-p", "9080:80", "-p", "9081:81/udp", "-p", f"[{HOST6}]:9180:180", "-p", f"[{HOST6}]:9181:181/udp"]
    published += ["-p", "9200-9263:9200-9263", "-p", "9200-9263:9200-9263/udp"]
    daemon.docker("run", "-d", "--name", V4, "--network", V4, "--ip", V4_ADDRESS, *published, "host", "sleep", "900")
    with ExitStack() as stack:
        inside = stack.enter_context(Netns.of(daemon.inspect(V4)["State"]["Pid"]))
        for proto, _, port in PORTS:
            stack.enter_context(inside.serve("0.0.0.0", port, proto))  # type: ignore[arg-type]
        town.places[V4] = inside
        yield town
        del town.places[V4]
    daemon.docker("rm", "-f", V4)
    daemon.docker("network", "rm", V4)


def seen(town: Town, source: str, address: str = HOST6) -> dict[str, bool]:
    asked: list[tuple[str, int, Proto]] = [(address, port, proto) for proto, port, _ in PORTS]
    found = town.places[source].answered(*asked)
    return {f"{port}/{proto}": answer for (_, port, proto), answer in zip(asked, found, strict=True)}


@pytest.mark.parametrize("source", ["outside", "po-web"])
def test_a_denial_by_the_client_and_the_container_s_port(served: Town, source: str) -> None:
    sender = OUTER if source == "outside" else WEB
    everything = dict.fromkeys(seen(served, source), True)
    assert seen(served, source) == everything
    assert seen(served, "host") == everything
    for ports, denied in (
        ([80], {"9080/tcp"}),
        (["81/udp"], {"9081/udp"}),
        (["180/tcp", "181/udp"], {"9180/tcp", "9181/udp"}),
        (["9200/tcp", "9200/udp"], {"9200/tcp", "9200/udp"}),
        (["9080", "9081", "9180"], set()),  # the host's ports are nobody's
    ):
        with served.policy(deny=[{"from": sender, "to": SERVER, "ports": ports}]):
            assert seen(served, source) == {key: key not in denied for key in everything}
            assert seen(served, "po-other" if source != "outside" else "po-web") == everything
            assert seen(served, "host") == everything, "the host is not judged"
            assert check(served.daemon) == []
    with served.policy(deny=[{"from": sender, "to": SERVER}]):
        assert seen(served, source) == dict.fromkeys(everything, False)
    with served.policy(deny=[{"from": WEB, "to": {"host": True}}]):
        assert seen(served, source) == everything, "a published port is the container's"
    assert seen(served, source) == everything


@pytest.mark.parametrize("source", ["outside", "po-web"])
def test_closed_networks(served: Town, source: str) -> None:
    sender = OUTER if source == "outside" else WEB
    everything = dict.fromkeys(seen(served, source), True)
    with served.policy(default={V4: "deny"}):
        assert seen(served, source) == dict.fromkeys(everything, False)
        assert seen(served, "host") == everything
        assert hits(served)[V4] >= len(PORTS)
    with served.policy(default={V4: "deny"}, allow=[{"from": sender, "to": SERVER, "ports": [80, "9200/udp"]}]):
        assert seen(served, source) == {key: key in ("9080/tcp", "9200/udp") for key in everything}
    with served.policy(default={"po-app": "deny"}):
        assert seen(served, source) == dict.fromkeys(everything, source == "outside"), "the sender's network"
    with served.policy(default={"po-app": "deny"}, allow=[{"from": WEB, "to": SERVER, "ports": ["81/udp"]}]):
        assert seen(served, source) == {key: source == "outside" or key == "9081/udp" for key in everything}
    assert seen(served, source) == everything


def hits(town: Town) -> dict[str, int]:
    told = json.loads(town.netloom("policy", "show", "--format", "json", "po"))
    return {entry["Name"]: entry["Hits"] for entry in told["Entries"] if entry["Verdict"] == "deny"} | told[
        "DefaultHits"
    ]


def test_a_dry_run_counts_and_lets_pass(served: Town) -> None:
    document = {
        "default": {V4: "deny"},
        "deny": [{"name": "no-web", "from": WEB, "to": SERVER, "ports": ["80/tcp", "81/udp"]}],
        "allow": [{"from": OUTER, "to": SERVER}],
    }
    with served.policy("--dry-run", **document):
        for source in ("po-web", "outside", "host"):
            assert all(seen(served, source).values()), source
        assert hits(served) == {"no-web": 2, V4: len(PORTS) - 2}
    with served.policy(**document):
        assert all(seen(served, "outside").values())
        assert not any(seen(served, "po-web").values())


def test_denials_are_told_with_both_ends(served: Town) -> None:
    deny = [{"name": "no-v4", "from": WEB, "to": SERVER, "ports": [80, "81/udp", 9200]}]
    with served.policy(deny=deny):
        assert not any(seen(served, "po-web")[f"{port}"] for port in ("9080/tcp", "9081/udp", "9200/tcp"))

        def log() -> set[tuple[str, str, str, int, str]]:
            told = served.daemon.json("GET", "/policies/log")
            return {
                (d["Protocol"], d["Source"]["Name"], d["Target"]["Name"], d["Target"]["Port"], d["Entry"]) for d in told
            }

        ends = ("po-web on po-app", f"{V4} on {V4}")
        wanted = {("tcp", *ends, 80, "po/no-v4"), ("udp", *ends, 81, "po/no-v4"), ("tcp", *ends, 9200, "po/no-v4")}
        eventually(lambda: wanted <= log(), what="the log")


def test_link_local_clients_of_other_hosts(served: Town) -> None:
    """Of a container that has IPv6 too: such a client has no route to it."""

    def told(where: str, *words: str) -> list[dict[str, object]]:
        return json.loads(served.places[where].run("ip", "-j", "-6", *words))  # type: ignore[no-any-return]

    addresses = json.dumps(told("host", "addr", "show", "dev", "eth0", "scope", "link"))
    (own,) = re.findall(r"fe80:[0-9a-f:]+", addresses)
    address = f"{own}%wan"
    outside = served.places["outside"]

    def reached() -> list[bool]:
        at: tuple[tuple[int, Proto], ...] = ((9080, "tcp"), (9081, "udp"), (8080, "tcp"), (8081, "udp"))
        return outside.answered(*((address, port, proto) for port, proto in at))

    eventually(lambda: all(reached()), what="addresses that are no longer tentative")
    everybody = {"cidr": "fe80::/10"}
    with served.policy(deny=[{"from": everybody, "to": SERVER}, {"from": everybody, "to": WEB, "ports": [80]}]):
        assert reached() == [False, False, False, True]
    with served.policy(default={"po-app": "deny"}, allow=[{"from": everybody, "to": WEB, "ports": ["81/udp"]}]):
        assert reached() == [True, True, False, True]
    assert all(reached())


@pytest.mark.parametrize("source", ["outside", "po-web"])
def test_a_change_ends_what_it_denies_and_nothing_else(served: Town, source: str) -> None:
    sender = OUTER if source == "outside" else WEB
    with ExitStack() as stack:
        ends = {}
        for key, port, inner in (("denied", 9205, 9205), ("allowed", 9206, 9206)):
            listener = stack.enter_context(served.places[V4].call(socket.create_server, (V4_ADDRESS, inner)))
            listener.settimeout(5)
            client = stack.enter_context(served.places[source].call(socket.create_connection, (HOST6, port), 5.0))
            ends[key] = (client, stack.enter_context(listener.accept()[0]))
        for client, server in ends.values():
            assert carries(client, server)
            assert carries(server, client)
        with served.policy(deny=[{"from": sender, "to": SERVER, "ports": [9205]}]):
            client, server = ends["denied"]
            for one, other in ((client, server), (server, client)):
                try:
                    assert cut(one, other)
                except OSError:
                    continue  # it has ended
            for one, other in (ends["allowed"], ends["allowed"][::-1]):
                assert carries(one, other)


@pytest.mark.parametrize("source", ["outside", "po-web"])
def test_datagrams_end_too_though_the_server_goes_on_sending(served: Town, source: str) -> None:
    sender = OUTER if source == "outside" else WEB
    with ExitStack() as stack:
        flows = {}
        for key, port in (("denied", 9207), ("allowed", 9208)):
            server = stack.enter_context(served.places[V4].call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM))
            server.bind((V4_ADDRESS, port))
            client = stack.enter_context(served.places[source].call(socket.socket, socket.AF_INET6, socket.SOCK_DGRAM))
            client.connect((HOST6, port))
            client.send(b"begin")
            server.settimeout(5)
            server.connect(server.recvfrom(16)[1])
            flows[key] = (client, server)
        for client, server in flows.values():
            assert carries(server, client)
            assert carries(client, server)
        with served.policy(deny=[{"from": sender, "to": SERVER, "ports": ["9207/udp"]}]):
            client, server = flows["denied"]
            assert cut(server, client)
            assert cut(client, server)
            client, server = flows["allowed"]
            assert carries(client, server)
            assert carries(server, client)
        client, server = flows["denied"]
        assert carries(client, server)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_it_holds_without_the_daemon(served: Town, end: str) -> None:
    denied, everything = {"9080/tcp", "9081/udp"}, seen(served, "po-web")
    wanted = {key: key not in denied for key in everything}
    with served.policy(deny=[{"from": WEB, "to": SERVER, "ports": [80, "81/udp"]}]):
        getattr(served.daemon, end)()
        assert seen(served, "po-web") == wanted
        assert all(seen(served, "po-other").values())
        served.daemon.start()
        assert seen(served, "po-web") == wanted
        assert check(served.daemon) == []
    assert all(seen(served, "po-web").values())


def test_a_mark_of_somebody_else_is_no_way_round(served: Town) -> None:
    """Whoever marks packets finds the mark as it was; where the connection's is taken too, what is judged is closed."""
    host = served.places["host"]
    table = """table inet others {
        set relays {
            type inet_service
        }
        chain marking {
            type filter hook prerouting priority -150
            %s
        }
        chain seen {
            type filter hook input priority 10
            meta mark 5 tcp dport @relays counter
        }
    }"""
    outside = served.places["outside"]
    for rule, passes in (("meta mark set 5", True), ("meta mark set 5 ct mark set 5", False)):
        host.run("nft", "-f", "-", stdin=table % rule)
        try:
            (port,) = re.findall(
                r"relay_ports \{[^}]*elements = \{ (\d+)",
                host.run("nft", "list", "set", "inet", "netloom", "relay_ports"),
            )
            host.run("nft", "add", "element", "inet", "others", "relays", f"{{ {port} }}")
            assert outside.reaches(HOST6, 9080)
            with served.policy(deny=[{"from": OUTER, "to": SERVER, "ports": [80]}]):
                assert outside.answered((HOST6, 9080, "tcp"), (HOST6, 9200, "tcp")) == [False, passes]
            assert outside.reaches(HOST6, 9080)
            assert "packets 0" not in host.run("nft", "list", "chain", "inet", "others", "seen")
        finally:
            host.run("nft", "delete", "table", "inet", "others")
