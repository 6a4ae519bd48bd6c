"""Policies and real packets: who reaches whom is what the policies say, on both ways of bridged packets."""

from __future__ import annotations

import json
import re

import pytest
from town import DB, NUMBERS, PORTS, WEB, Town, Way

from netloom.testing.checker import check
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, eventually

pytestmark = [pytest.mark.root, pytest.mark.kernel]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_a_denial_by_label_and_port_within_a_network(town: Town, family: int, proto: str) -> None:
    everybody: dict[Way, bool] = {
        (source, target, port, proto, family): True
        for source, target in (("po-web", "po-db"), ("po-other", "po-db"), ("po-db", "po-web"))
        for port in PORTS
    }
    town.check(everybody)
    with town.policy(deny=[{"from": WEB, "to": DB, "ports": [f"80/{proto}"]}]):
        town.check({**everybody, ("po-web", "po-db", 80, proto, family): False})
    town.check(everybody)


@pytest.mark.parametrize("family", [4, 6])
def test_a_closed_network_lets_pass_what_is_allowed(town: Town, family: int) -> None:
    allow = [{"from": WEB, "to": DB, "ports": ["80/tcp", "81-90/udp"]}, {"from": {"container": "po-other"}, "to": WEB}]
    with town.policy(default={"po-app": "deny"}, allow=allow):
        found = (
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
        )
        town.check({(*way, family): passes for *way, passes in found})
        assert town.places["host"].reaches(town.address("po-web", family), 80), "the host reaches every container"
        assert not town.places["po-web"].ping(town.address("po-db", family), timeout=0.3)
    assert town.places["po-web"].ping(town.address("po-db", family))


def test_link_local_addresses_are_no_way_round(town: Town) -> None:
    def reached() -> bool:
        shown = town.places["po-db"].run("ip", "-6", "addr", "show", "dev", "eth0")
        (own,) = re.findall(r"inet6 (fe80:[0-9a-f:]+)", shown)
        told = town.places["po-web"].run("ping", "-c1", "-W1", f"{own}%eth0", check=False)
        return ", 1 received" in told

    eventually(reached, what="addresses that are no longer tentative")
    with town.policy(deny=[{"from": WEB, "to": DB}]):
        assert not reached()


@pytest.mark.parametrize("family", [4, 6])
def test_addresses_outside_by_cidr(town: Town, family: int) -> None:
    mine = f"{OUTSIDE4}/32" if family == 4 else f"{OUTSIDE6}/128"
    around = "198.51.100.0/24" if family == 4 else "2001:db8::/32"
    ports = ["81/tcp", "81/udp"]
    entry = {"from": WEB, "to": {"cidr": around}, "ports": ports}
    with town.policy(deny=[entry]):
        assert town.misses("po-web", "outside", 81, "tcp", family)
        assert town.misses("po-far", "outside", 81, "udp", family)
        assert town.reaches("po-web", "outside", 80, "tcp", family)
        assert town.reaches("po-db", "outside", 81, "tcp", family)
        # A block within that one, and a range of ports around: others take the place of what stands.
        wider = {"from": WEB, "to": {"cidr": around}, "ports": ["80-90/tcp", "81/udp"]}
        town.apply({"name": "po", "deny": [wider, {"from": DB, "to": {"cidr": mine}, "ports": ports}]})
        assert town.misses("po-db", "outside", 81, "tcp", family)
        assert town.misses("po-web", "outside", 80, "tcp", family)
        assert town.reaches("po-web", "outside", 80, "udp", family)
        assert check(town.daemon) == []
    with town.policy(default={"po-app": "deny"}, allow=[{"from": {"network": "po-app"}, "to": {"cidr": mine}}]):
        assert town.reaches("po-db", "outside", 80, "udp", family)
        assert town.misses("po-db", "po-web", 80, "tcp", family)


def test_published_ports_are_judged_by_their_client(town: Town) -> None:
    outside, host = town.places["outside"], "198.51.100.2"
    assert outside.reaches(host, 8080)
    with town.policy(deny=[{"from": {"cidr": OUTSIDE4}, "to": {"container": "po-web"}, "ports": [80]}]):
        assert outside.misses(host, 8080)
        assert outside.reaches(host, 8081, "udp")
        assert town.places["po-other"].reaches(host, 8080)
    with town.policy(default={"po-app": "deny"}):
        assert outside.misses(host, 8080)
        assert town.places["po-far"].misses(host, 8080)
        assert town.places["host"].reaches(host, 8080), "the host is not judged"
    assert outside.reaches(host, 8080)


@pytest.mark.parametrize("family", [4, 6])
def test_a_way_between_networks(town: Town, family: int) -> None:
    nowhere: dict[Way, bool] = dict.fromkeys(
        (
            ("po-far", "po-db", 80, "tcp", family),
            ("po-far", "po-db", 81, "tcp", family),
            ("po-db", "po-far", 80, "tcp", family),
            ("po-far", "po-web", 80, "tcp", family),
        ),
        False,
    )
    town.check(nowhere)
    way = {"from": {"network": "po-far"}, "to": {"network": "po-app", **DB}, "ports": [80]}
    with town.policy(allow=[way]):
        town.check({**nowhere, ("po-far", "po-db", 80, "tcp", family): True})
    town.check(nowhere)
    with town.policy(allow=[{"from": {"label": "role"}, "to": {"label": "role"}}]):
        town.check(nowhere)  # where no networks are named nothing is opened


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
                town.check({("po-far", "po-db", 80, proto, family): proto == "tcp"})
                assert town.misses("po-far", "po-db", 81, proto, family)
                assert town.reaches("po-web", "po-db", 80, proto, family)
                assert town.misses("po-web", "po-db", 81, proto, family)
                assert town.reaches("po-other", "po-db", 81, proto, family)
            with host.serve("0.0.0.0" if family == 4 else "::", 7000):
                gateway = f"10.{NUMBERS['po-app']}.0.1" if family == 4 else f"fd00:{NUMBERS['po-app']}::1"
                assert town.places["po-web"].reaches(gateway, 7000)
                assert town.places["po-db"].misses(gateway, 7000)
            # Where the connection has a mark too, there is no place for the receiver.
            host.run("nft", "delete", "table", "inet", "others")
            host.run("nft", "-f", "-", stdin=MARKS.replace("OF_THE_CONNECTION", "ct mark set 0x5000000"))
            assert town.misses("po-web", "po-db", 80, "tcp", family)
            assert town.reaches("po-other", "outside", 80, "tcp", family)
        finally:
            host.run("nft", "delete", "table", "inet", "others")


def test_services_of_the_host(town: Town) -> None:
    with town.places["host"].serve("0.0.0.0", 7100), town.places["host"].serve("::", 7100):
        for address in ("10.80.0.1", "fd00:80::1"):
            assert town.places["po-web"].reaches(address, 7100)
            with town.policy(deny=[{"from": WEB, "to": {"host": True}}]):
                assert town.places["po-web"].misses(address, 7100)
                assert town.places["po-db"].reaches(address, 7100)
            with town.policy(default={"po-app": "deny"}, allow=[{"from": DB, "to": {"host": True}, "ports": [7100]}]):
                assert town.places["po-web"].misses(address, 7100)
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
        assert town.misses("po-web", "po-db", 80)
        assert hits(town)["no-db"] >= 1


def test_denials_are_told_with_names(town: Town) -> None:
    with town.policy(deny=[{"name": "no-db", "from": WEB, "to": DB, "ports": [81]}], default={"po-far": "deny"}):
        assert town.misses("po-web", "po-db", 81)
        assert town.misses("po-far", "outside", 80, family=6)

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
