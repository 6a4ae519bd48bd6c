"""Policies and real packets: who reaches whom is what the policies say, on both ways of bridged packets."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from netloom.dns import message as m
from netloom.dns.message import Message, Question
from netloom.dns.wire import encode_name
from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Host, Netns, eventually
from netloom.testing.name_servers import NameServer

pytestmark = [pytest.mark.root, pytest.mark.kernel]

BOXES = {  # name: network, label, last number of its addresses
    "po-web": ("po-app", "role=web", 10),
    "po-db": ("po-app", "role=db", 11),
    "po-other": ("po-app", "role=other", 12),
    "po-far": ("po-far", "role=web", 10),
}
NUMBERS = {"po-app": 80, "po-far": 81}
PORTS = (80, 81)


@pytest.fixture(scope="module", params=[False, True], ids=["brnf0", "brnf1"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with Host(uplink=True) as host:
        host.bridge_netfilter(request.param)
        yield host


class Town:
    """Four containers on two networks, each with servers of TCP and UDP, and one outside."""

    def __init__(self, daemon: Daemon, stack: ExitStack) -> None:
        self.daemon = daemon
        self.places: dict[str, Netns] = {"outside": daemon.host.outside, "host": daemon.host}
        for name, number in NUMBERS.items():
            subnets = ("--subnet", f"10.{number}.0.0/24", "--ipv6", "--subnet", f"fd00:{number}::/64")
            daemon.docker("network", "create", *subnets, name)
        for name, (network, label, _) in BOXES.items():
            addresses = ("--ip", self.address(name), "--ip6", self.address(name, 6))
            published = ("-p", "8080:80", "-p", "8081:81/udp") if name == "po-web" else ()
            daemon.docker(
                *("run", "-d", "--name", name, "--network", network, *addresses, "--label", label, *published),
                *("host", "sleep", "600"),
            )
            inside = stack.enter_context(Netns.of(daemon.inspect(name)["State"]["Pid"]))
            self.places[name] = inside
            self.serve(stack, name)
        self.serve(stack, "outside")

    def serve(self, stack: ExitStack, name: str) -> None:
        for address in ("0.0.0.0", "::"):
            for port in PORTS:
                for proto in ("tcp", "udp"):
                    stack.enter_context(self.places[name].serve(address, port, proto, tag=name))  # type: ignore[arg-type]

    def address(self, name: str, family: int = 4) -> str:
        if name == "outside":
            return OUTSIDE4 if family == 4 else OUTSIDE6
        network, _, last = BOXES[name]
        return f"10.{NUMBERS[network]}.0.{last}" if family == 4 else f"fd00:{NUMBERS[network]}::{last:x}"

    def reaches(self, source: str, target: str, port: int = 80, proto: str = "tcp", family: int = 4) -> bool:
        return self.places[source].reaches(self.address(target, family), port, proto)  # type: ignore[arg-type]

    @contextmanager
    def policy(self, *flags: str, **document: Any) -> Iterator[None]:
        """A policy stands meanwhile."""
        self.apply({"name": "po", **document}, *flags)
        try:
            yield
        finally:
            self.netloom("policy", "rm", "po")

    def apply(self, document: dict[str, Any], *flags: str) -> None:
        self.netloom("policy", "apply", *flags, "-", stdin=json.dumps(document))

    def netloom(self, *words: str, stdin: str | None = None) -> str:
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "netloom", "-H", f"unix://{self.daemon.socket}", *words)
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def town(daemon: Daemon) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(daemon, stack)
    for name in BOXES:
        daemon.docker("rm", "-f", name)
    for name in NUMBERS:
        daemon.docker("network", "rm", name)


WEB, DB = {"label": "role=web"}, {"label": "role=db"}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_a_denial_by_label_and_port_within_a_network(town: Town, family: int, proto: str) -> None:
    def seen() -> dict[str, bool]:
        return {
            f"{source} {target} {port}": town.reaches(source, target, port, proto, family)
            for source, target in (("po-web", "po-db"), ("po-other", "po-db"), ("po-db", "po-web"))
            for port in PORTS
        }

    assert all(seen().values())
    with town.policy(deny=[{"from": WEB, "to": DB, "ports": [f"80/{proto}"]}]):
        assert seen() == {**dict.fromkeys(seen(), True), "po-web po-db 80": False}
    assert all(seen().values())


@pytest.mark.parametrize("family", [4, 6])
def test_a_closed_network_lets_pass_what_is_allowed(town: Town, family: int) -> None:
    allow = [{"from": WEB, "to": DB, "ports": ["80/tcp", "81-90/udp"]}, {"from": {"container": "po-other"}, "to": WEB}]
    with town.policy(default={"po-app": "deny"}, allow=allow):
        for source, target, port, proto, passes in (
            ("po-web", "po-db", 80, "tcp", True),
            ("po-web", "po-db", 81, "tcp", False),
            ("po-web", "po-db", 81, "udp", True),
            ("po-web", "po-db", 80, "udp", False),
            ("po-db", "po-web", 80, "tcp", False),
            ("po-other", "po-web", 80, "tcp", True),
            ("po-other", "po-web", 81, "udp", True),
            ("po-other", "po-db", 80, "tcp", False),
            ("po-web", "outside", 80, "tcp", False),
            ("po-far", "outside", 80, "tcp", True),
        ):
            assert town.reaches(source, target, port, proto, family) is passes, (source, target, port, proto)
        assert town.places["host"].reaches(town.address("po-web", family), 80), "the host reaches every container"
        assert not town.places["po-web"].ping(town.address("po-db", family), timeout=0.3)
    assert town.places["po-web"].ping(town.address("po-db", family))


def test_link_local_addresses_are_no_way_round(town: Town) -> None:
    def reached() -> bool:
        shown = town.places["po-db"].run("ip", "-6", "addr", "show", "dev", "eth0")
        (own,) = re.findall(r"inet6 (fe80:[0-9a-f:]+)", shown)
        told = town.places["po-web"].run("ping", "-c1", "-W1", f"{own}%eth0", check=False)
        return ", 1 received" in told

    eventually(reached, timeout=15, what="addresses that are no longer tentative")
    with town.policy(deny=[{"from": WEB, "to": DB}]):
        assert not reached()


@pytest.mark.parametrize("family", [4, 6])
def test_addresses_outside_by_cidr(town: Town, family: int) -> None:
    mine = f"{OUTSIDE4}/32" if family == 4 else f"{OUTSIDE6}/128"
    around = "198.51.100.0/24" if family == 4 else "2001:db8::/32"
    ports = ["81/tcp", "81/udp"]
    entry = {"from": WEB, "to": {"cidr": around}, "ports": ports}
    with town.policy(deny=[entry]):
        assert not town.reaches("po-web", "outside", 81, "tcp", family)
        assert not town.reaches("po-far", "outside", 81, "udp", family)
        assert town.reaches("po-web", "outside", 80, "tcp", family)
        assert town.reaches("po-db", "outside", 81, "tcp", family)
        # A block within that one, and a range of ports around: others take the place of what stands.
        wider = {"from": WEB, "to": {"cidr": around}, "ports": ["80-90/tcp", "81/udp"]}
        town.apply({"name": "po", "deny": [wider, {"from": DB, "to": {"cidr": mine}, "ports": ports}]})
        assert not town.reaches("po-db", "outside", 81, "tcp", family)
        assert not town.reaches("po-web", "outside", 80, "tcp", family)
        assert town.reaches("po-web", "outside", 80, "udp", family)
        assert check(town.daemon) == []
    with town.policy(default={"po-app": "deny"}, allow=[{"from": {"network": "po-app"}, "to": {"cidr": mine}}]):
        assert town.reaches("po-db", "outside", 80, "udp", family)
        assert not town.reaches("po-db", "po-web", 80, "tcp", family)


def test_published_ports_are_judged_by_their_client(town: Town) -> None:
    outside, host = town.places["outside"], "198.51.100.2"
    assert outside.reaches(host, 8080)
    with town.policy(deny=[{"from": {"cidr": OUTSIDE4}, "to": {"container": "po-web"}, "ports": [80]}]):
        assert not outside.reaches(host, 8080)
        assert outside.reaches(host, 8081, "udp")
        assert town.places["po-other"].reaches(host, 8080)
    with town.policy(default={"po-app": "deny"}):
        assert not outside.reaches(host, 8080)
        assert not town.places["po-far"].reaches(host, 8080)
        assert town.places["host"].reaches(host, 8080), "the host is not judged"
    assert outside.reaches(host, 8080)


@pytest.mark.parametrize("family", [4, 6])
def test_a_way_between_networks(town: Town, family: int) -> None:
    def seen() -> list[bool]:
        return [
            town.reaches("po-far", "po-db", 80, "tcp", family),
            town.reaches("po-far", "po-db", 81, "tcp", family),
            town.reaches("po-db", "po-far", 80, "tcp", family),
            town.reaches("po-far", "po-web", 80, "tcp", family),
        ]

    assert seen() == [False] * 4
    way = {"from": {"network": "po-far"}, "to": {"network": "po-app", **DB}, "ports": [80]}
    with town.policy(allow=[way]):
        assert seen() == [True, False, False, False]
    assert seen() == [False] * 4
    with town.policy(allow=[{"from": {"label": "role"}, "to": {"label": "role"}}]):
        assert seen() == [False] * 4, "where no networks are named nothing is opened"


MARKS = """
table inet others {
    chain marked { type filter hook prerouting priority -150; meta mark set 0x77; OF_THE_CONNECTION; }
    chain passed {
        type filter hook forward priority -15;
        meta mark & 0xefffffff != 0x77 drop
        ct mark & 0xffffff != 0 drop
    }
    chain taken_in {
        type filter hook input priority -15;
        meta mark != 0x77 drop
        ct mark & 0xffffff != 0 drop
    }
}
"""


@pytest.mark.parametrize("family", [4, 6])
def test_marks_of_others_are_put_back(town: Town, family: int) -> None:
    host = town.daemon.host
    way = {"from": {"network": "po-far"}, "to": {"network": "po-app", **DB}, "ports": [80]}
    denied = {"from": WEB, "to": DB, "ports": ["81/tcp", "81/udp"]}
    with town.policy(allow=[way], deny=[denied, {"from": {"network": "po-app", **DB}, "to": {"host": True}}]):
        host.run("nft", "-f", "-", stdin=MARKS.replace("OF_THE_CONNECTION;", ""))
        try:
            for proto in ("tcp", "udp"):
                assert town.reaches("po-far", "po-db", 80, proto, family) is (proto == "tcp")
                assert not town.reaches("po-far", "po-db", 81, proto, family)
                assert town.reaches("po-web", "po-db", 80, proto, family)
                assert not town.reaches("po-web", "po-db", 81, proto, family)
                assert town.reaches("po-other", "po-db", 81, proto, family)
            with host.serve("0.0.0.0" if family == 4 else "::", 7000):
                gateway = f"10.{NUMBERS['po-app']}.0.1" if family == 4 else f"fd00:{NUMBERS['po-app']}::1"
                assert town.places["po-web"].reaches(gateway, 7000)
                assert not town.places["po-db"].reaches(gateway, 7000)
            # Where the connection has a mark too, there is no place for the receiver.
            host.run("nft", "delete", "table", "inet", "others")
            host.run("nft", "-f", "-", stdin=MARKS.replace("OF_THE_CONNECTION", "ct mark set 0x5000000"))
            assert not town.reaches("po-web", "po-db", 80, "tcp", family)
            assert town.reaches("po-other", "outside", 80, "tcp", family)
        finally:
            host.run("nft", "delete", "table", "inet", "others")


def test_services_of_the_host(town: Town) -> None:
    with town.places["host"].serve("0.0.0.0", 7100), town.places["host"].serve("::", 7100):
        for address in ("10.80.0.1", "fd00:80::1"):
            assert town.places["po-web"].reaches(address, 7100)
            with town.policy(deny=[{"from": WEB, "to": {"host": True}}]):
                assert not town.places["po-web"].reaches(address, 7100)
                assert town.places["po-db"].reaches(address, 7100)
            with town.policy(default={"po-app": "deny"}, allow=[{"from": DB, "to": {"host": True}, "ports": [7100]}]):
                assert not town.places["po-web"].reaches(address, 7100)
                assert town.places["po-db"].reaches(address, 7100)


def hits(town: Town) -> dict[str, int]:
    told = json.loads(town.netloom("policy", "show", "--format", "json", "po"))
    return {entry["Name"]: entry["Hits"] for entry in told["Entries"] if entry["Verdict"] == "deny"} | told[
        "DefaultHits"
    ]


def test_a_dry_run_counts_and_lets_pass(town: Town) -> None:
    document = {
        "default": {"po-app": "deny"},
        "deny": [{"name": "no-db", "from": WEB, "to": DB, "ports": [80]}],
        "allow": [{"from": {"container": "po-other"}, "to": DB}],
    }
    with town.policy("--dry-run", **document):
        assert town.reaches("po-web", "po-db", 80)
        assert town.reaches("po-web", "po-db", 81)
        assert town.reaches("po-other", "po-db", 80)
        assert hits(town) == {"no-db": 1, "po-app": 1}
        assert "would be denied" in town.netloom("policy", "log")
    with town.policy(**document):
        assert not town.reaches("po-web", "po-db", 80)
        assert hits(town)["no-db"] >= 1


def test_denials_are_told_with_names(town: Town) -> None:
    with town.policy(deny=[{"name": "no-db", "from": WEB, "to": DB, "ports": [81]}], default={"po-far": "deny"}):
        assert not town.reaches("po-web", "po-db", 81)
        assert not town.reaches("po-far", "outside", 80, family=6)

        def log() -> list[tuple[str, str, int, str]]:
            told = town.daemon.json("GET", "/policies/log")
            return [(d["Source"]["Name"], d["Target"]["Name"], d["Target"]["Port"], d["Entry"]) for d in told]

        eventually(
            lambda: (
                ("po-web on po-app", "po-db on po-app", 81, "po/no-db") in log()
                and ("po-far on po-far", "", 80, "") in log()
            ),
            what="the log",
        )
        events = ("events", "--since", "60m", "--until", "0s", "--filter", "type=policy", "--format", "{{json .}}")
        told = [json.loads(line) for line in town.daemon.docker(*events).splitlines()]
        assert ("deny", "po/no-db", "po-web on po-app") in [
            (e["Action"], e["Actor"]["ID"], e["Actor"]["Attributes"].get("source")) for e in told
        ]
        assert re.search(
            r"denied tcp po-web on po-app \(10\.80\.0\.10\) port \d+ to po-db", town.netloom("policy", "log")
        )


@contextmanager
def connected(town: Town, source: str, target: str, port: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection that stands: its client's end and its server's."""

    def listening() -> socket.socket:
        server = socket.create_server((town.address(target), port))
        server.settimeout(5)
        return server

    with town.places[target].call(listening) as server:
        client = town.places[source].call(socket.create_connection, (town.address(target), port), 5.0)
        with client, server.accept()[0] as accepted:
            yield client, accepted


def carries(sender: socket.socket, receiver: socket.socket) -> bool:
    """Does a word get through? Each is different: a late one is another's."""
    word = str(time.monotonic_ns()).encode() + b";"
    sender.sendall(word)
    receiver.settimeout(0.6)
    heard = b""
    try:
        while word not in heard:
            heard += receiver.recv(4096)
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_change_ends_what_it_denies_and_nothing_else(town: Town, first: str) -> None:
    with (
        connected(town, "po-web", "po-db", 90) as (client, server),
        connected(town, "po-other", "po-db", 91) as (others, other_end),
    ):
        assert carries(client, server)
        assert carries(server, client)
        deny = [{"from": WEB, "to": DB, "ports": ["90/tcp"]}]
        with town.policy(deny=deny):
            ends = [(client, server), (server, client)]
            for sender, receiver in ends if first == "client" else reversed(ends):
                assert not carries(sender, receiver)
            assert carries(others, other_end)
            assert carries(other_end, others)


def test_a_closed_network_keeps_the_connections_that_it_allows(town: Town) -> None:
    with (
        connected(town, "po-web", "po-db", 92) as (client, server),
        connected(town, "po-other", "po-db", 93) as (others, other_end),
        town.policy(default={"po-app": "deny"}, allow=[{"from": WEB, "to": DB, "ports": [92]}]),
    ):
        assert carries(server, client)
        assert carries(client, server)
        assert not carries(other_end, others)
        assert not carries(others, other_end)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_policies_outlive_the_daemon(town: Town, end: str) -> None:
    with town.policy(deny=[{"from": WEB, "to": DB, "ports": [80]}], default={"po-far": "deny"}):
        getattr(town.daemon, end)()
        assert not town.reaches("po-web", "po-db", 80)
        town.daemon.start()
        assert not town.reaches("po-web", "po-db", 80)
        assert town.reaches("po-web", "po-db", 81)
        assert not town.reaches("po-far", "outside", 80)
        assert check(town.daemon) == []
        town.daemon.host.run("nft", "flush", "ruleset")
        eventually(lambda: not town.reaches("po-web", "po-db", 80), timeout=10, what="the repair")
    assert town.reaches("po-web", "po-db", 80)


def test_who_comes_is_judged_from_the_first_packet_and_a_new_name_counts(town: Town) -> None:
    daemon = town.daemon
    with town.policy(deny=[{"from": {"container": "po-late"}, "to": DB}, {"from": {"label": "late=yes"}, "to": WEB}]):
        daemon.docker(
            "run", "-d", "--name", "po-late", "--network", "po-app", "--label", "late=yes", "host", "sleep", "600"
        )
        with Netns.of(daemon.inspect("po-late")["State"]["Pid"]) as late:
            assert not late.reaches(town.address("po-db"), 80)
            assert not late.reaches(town.address("po-web"), 80)
            assert late.reaches(town.address("po-other"), 80)
            daemon.docker("rename", "po-late", "po-early")
            assert late.reaches(town.address("po-db"), 80)
            assert not late.reaches(town.address("po-web"), 80)
            daemon.docker("rename", "po-early", "po-late")
            assert not late.reaches(town.address("po-db"), 80)
        daemon.docker("rm", "-f", "po-late")


def test_entries_in_a_container_s_own_labels(town: Town) -> None:
    daemon = town.daemon
    label = "netloom.policy.deny.to=label:role=db 80; cidr:198.51.100.0/24"
    daemon.docker("run", "-d", "--name", "po-own", "--network", "po-app", "--label", label, "host", "sleep", "600")
    with Netns.of(daemon.inspect("po-own")["State"]["Pid"]) as own:
        assert not own.reaches(town.address("po-db"), 80)
        assert own.reaches(town.address("po-db"), 81)
        assert not own.reaches(OUTSIDE4, 80)
        assert own.reaches(OUTSIDE6, 80)
    assert "labels" in town.netloom("policy", "ls")
    daemon.docker("rm", "-f", "po-own")
    assert "labels" not in town.netloom("policy", "ls")
    done = daemon.docker_run("create", "--label", "netloom.policy.deny.to=somebody", "host", "true")
    assert done.returncode != 0
    assert "label netloom.policy.deny.to: 'somebody' chooses nobody" in done.stderr


def test_a_network_that_is_made_closed(town: Town) -> None:
    daemon = town.daemon
    daemon.docker("network", "create", "-o", "netloom.policy.default=deny", "po-shut")
    for name in ("po-one", "po-two"):
        daemon.docker("run", "-d", "--name", name, "--network", "po-shut", "host", "sleep", "600")
    one, two = (stack_of(daemon, name) for name in ("po-one", "po-two"))
    with one[0] as first, two[0] as second, second.serve("0.0.0.0", 80):
        assert not first.reaches(two[1], 80)
        assert not first.reaches(OUTSIDE4, 80)
        with town.policy(allow=[{"from": {"container": "po-one"}, "to": {"network": "po-shut"}}]):
            assert first.reaches(two[1], 80)
            assert check(daemon) == []
        assert not first.reaches(two[1], 80)
    daemon.docker("rm", "-f", "po-one", "po-two")
    daemon.docker("network", "rm", "po-shut")
    for options in (
        ("-o", "netloom.policy.default=no"),
        ("-o", "netloom.policy.default=deny", "-o", "netloom.guard=0"),
    ):
        assert daemon.docker_run("network", "create", *options, "po-bad").returncode == 1


def stack_of(daemon: Daemon, name: str) -> tuple[Netns, str]:
    """A container's namespace and its address."""
    told = daemon.inspect(name)
    (settings,) = told["NetworkSettings"]["Networks"].values()
    return Netns.of(told["State"]["Pid"]), settings["IPAddress"]


def test_what_is_refused_changes_nothing(town: Town) -> None:
    with town.policy(deny=[{"from": WEB, "to": DB, "ports": [80]}]):
        for document, told in (
            ({"deny": [{"from": {"network": "nosuch"}}]}, "entry deny-1: from: network nosuch not found"),
            ({"deny": [{"to": {"cidr": "10.0.0.1/8"}}]}, "has host bits set"),
            ({"allow": [{"from": WEB, "ports": ["99999"]}]}, "'99999' is no port"),
            ({"allow": [{"from": WEB}], "deny": [{"from": WEB}]}, "deny-1 and allow-1 contradict each other"),
            ({"default": {"none": "deny"}}, "policies judge networks of the driver bridge"),
        ):
            done = town.run("policy", "apply", "-", stdin=json.dumps({"name": "po", **document}))
            assert done.returncode == 1
            assert told in done.stderr
            assert not town.reaches("po-web", "po-db", 80)
            assert town.reaches("po-web", "po-db", 81)


def look_up(place: Netns, name: str) -> list[str]:
    """Addresses, as the container's resolver answers."""
    query = m.encode(Message(7, m.RD, (Question(encode_name(name), 1),)))
    with place.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(8)
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
        assert not web.reaches(OUTSIDE4, 80), "nobody speaks of that name"
        assert look_up(db, "shop.test") == [OUTSIDE4]
        assert not db.reaches(OUTSIDE4, 80), "it is another's"
        assert look_up(web, "shop.test") == [OUTSIDE4]
        assert web.ask(OUTSIDE4, 80).tag == "outside"
        assert not web.reaches(OUTSIDE4, 81)
        assert not town.places["po-far"].reaches(OUTSIDE4, 80), "it has not asked"
        eventually(lambda: not web.reaches(OUTSIDE4, 80), timeout=10, what="the end of its time")
        look_up(web, "Shop.Test")
        assert web.reaches(OUTSIDE4, 80), "asked again, from the cache or not"
        assert look_up(web, "a.every.test") == [OUTSIDE4]
        assert web.reaches(OUTSIDE4, 81, "udp")
        town.daemon.kill()
        eventually(lambda: not web.reaches(OUTSIDE4, 80), timeout=10, what="the end of its time")
        look_up(web, "shop.test")
        assert web.reaches(OUTSIDE4, 80), "no daemon is needed"
        town.daemon.start()
    with (
        town.policy(deny=[{"from": WEB, "to": {"name": "shop.test"}}]),
        NameServer(town.daemon.host.outside, OUTSIDE4, says=OUTSIDE4, ttl=60),
    ):
        look_up(web, "fresh.test")
        assert web.reaches(OUTSIDE4, 80)
        eventually(lambda: look_up(web, "shop.test") and not web.reaches(OUTSIDE4, 80), timeout=10, what="a denial")
    assert web.reaches(OUTSIDE4, 80), "what was learnt is forgotten with the policy"
