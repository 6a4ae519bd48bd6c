"""Policies, containers and the daemon that come, change and go while packets flow."""

from __future__ import annotations

import json

import pytest
from town import DB, WEB, Town, carries, connected, cut

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Netns, eventually

pytestmark = [pytest.mark.root, pytest.mark.kernel]


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
                assert cut(sender, receiver)
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
        assert cut(other_end, others)
        assert cut(others, other_end)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_policies_outlive_the_daemon(town: Town, end: str) -> None:
    with town.policy(deny=[{"from": WEB, "to": DB, "ports": [80]}], default={"po-far": "deny"}):
        getattr(town.daemon, end)()
        assert town.misses("po-web", "po-db", 80)
        town.daemon.start()
        assert town.misses("po-web", "po-db", 80)
        assert town.reaches("po-web", "po-db", 81)
        assert town.misses("po-far", "outside", 80)
        assert check(town.daemon) == []
        town.daemon.host.run("nft", "flush", "ruleset")
        eventually(lambda: town.misses("po-web", "po-db", 80), what="the repair")
    assert town.reaches("po-web", "po-db", 80)


def test_who_comes_is_judged_from_the_first_packet_and_a_new_name_counts(town: Town) -> None:
    daemon = town.daemon
    with town.policy(deny=[{"from": {"container": "po-late"}, "to": DB}, {"from": {"label": "late=yes"}, "to": WEB}]):
        daemon.docker(
            "run", "-d", "--name", "po-late", "--network", "po-app", "--label", "late=yes", "host", "sleep", "600"
        )
        with Netns.of(daemon.inspect("po-late")["State"]["Pid"]) as late:
            assert late.misses(town.address("po-db"), 80)
            assert late.misses(town.address("po-web"), 80)
            assert late.reaches(town.address("po-other"), 80)
            daemon.docker("rename", "po-late", "po-early")
            assert late.reaches(town.address("po-db"), 80)
            assert late.misses(town.address("po-web"), 80)
            daemon.docker("rename", "po-early", "po-late")
            assert late.misses(town.address("po-db"), 80)
        daemon.docker("rm", "-f", "po-late")


def test_entries_in_a_container_s_own_labels(town: Town) -> None:
    daemon = town.daemon
    label = "netloom.policy.deny.to=label:role=db 80; cidr:198.51.100.0/24"
    daemon.docker("run", "-d", "--name", "po-own", "--network", "po-app", "--label", label, "host", "sleep", "600")
    with Netns.of(daemon.inspect("po-own")["State"]["Pid"]) as own:
        assert own.misses(town.address("po-db"), 80)
        assert own.reaches(town.address("po-db"), 81)
        assert own.misses(OUTSIDE4, 80)
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
        assert first.misses(two[1], 80)
        assert first.misses(OUTSIDE4, 80)
        with town.policy(allow=[{"from": {"container": "po-one"}, "to": {"network": "po-shut"}}]):
            assert first.reaches(two[1], 80)
            assert check(daemon) == []
        assert first.misses(two[1], 80)
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
            assert town.misses("po-web", "po-db", 80)
            assert town.reaches("po-web", "po-db", 81)
        twice = f"name: po\ndeny: {json.dumps([{'from': WEB}])}\nallow: []\ndeny: []\n"
        done = town.run("policy", "apply", "-", stdin=twice)
        assert (done.returncode, done.stderr) == (1, "standard input, line 4: deny is there twice: put both into one\n")
        assert town.misses("po-web", "po-db", 80)
