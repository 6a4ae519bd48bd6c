"""Beside a Docker, and beside somebody whom nobody knows: what drops our packets is passed, or told of."""

from __future__ import annotations

import json
from pathlib import Path

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host, Netns, eventually


def test_dockers_drop_is_passed_by_one_rule_in_the_chain_that_it_keeps(tmp_path: Path) -> None:
    with Host(uplink=True) as host, Daemon(host, tmp_path) as daemon:
        daemon.docker("run", "-d", "--name", "of-one", "host", "sleep", "600")
        with Netns.of(daemon.inspect("of-one")["State"]["Pid"]) as inside:
            host.run("iptables", "-N", "DOCKER-USER")
            host.run("iptables", "-I", "FORWARD", "-j", "DOCKER-USER")
            host.run("iptables", "-P", "FORWARD", "DROP")
            eventually(lambda: inside.ping(OUTSIDE4, timeout=0.3), what="the way out")
        rules = host.run("iptables", "-S", "DOCKER-USER").splitlines()
        assert len(rules) == 2
        assert "--comment netloom -j ACCEPT" in rules[1]
        daemon.stop()
        assert len(host.run("iptables", "-S", "DOCKER-USER").splitlines()) == 2, "a container runs on"
        daemon.start()
        daemon.docker("rm", "-f", "of-one")
        daemon.stop()
        assert len(host.run("iptables", "-S", "DOCKER-USER").splitlines()) == 1


def test_a_drop_of_nobody_known_is_told_with_its_remedy(tmp_path: Path) -> None:
    with Host(uplink=True) as host, Daemon(host, tmp_path) as daemon:
        policy = "type filter hook forward priority 0; policy drop;"
        host.run("nft", "-f", "-", stdin=f"table inet strange {{ chain mine {{ {policy} }}\n}}\n")

        def told() -> list[dict[str, str]]:
            text = daemon.docker(
                "events", "--since", "1m", "--until", "0s", "--filter", "type=daemon", "--format", "json"
            )
            return [json.loads(line)["Actor"]["Attributes"] for line in text.splitlines()]

        event = eventually(told, what="the event")[0]
        assert event["chain"] == "inet strange mine"
        assert "meta mark & 0x40000000 != 0 accept" in event["remedy"]
        assert "accept" not in host.run("nft", "list", "table", "inet", "strange").replace("policy", "")
