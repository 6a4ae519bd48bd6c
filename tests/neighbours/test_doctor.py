"""`netloom doctor` names what on this host drops netloom's traffic, with what helps; and what helps, helps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, eventually

pytestmark = pytest.mark.root


def findings(daemon: Daemon) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "netloom", "-H", f"unix://{daemon.socket}", "doctor", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.returncode == (1 if found else 0)
    return found


def heal(host: Host, finding: dict[str, Any]) -> None:
    """Do as the remedy says."""
    words = finding["Remedy"].partition("sysctl -w ")[2].partition(",")[0]
    host.run("sysctl", "-w", words)


def test_each_thing_in_the_way_is_named(tmp_path: Path) -> None:
    with Host(uplink=True) as host, Daemon(host, tmp_path) as daemon:
        daemon.docker("network", "create", "red")
        host.sysctl("net/ipv4/conf/all/rp_filter", "1")
        assert findings(daemon) == [], "one uplink answers by itself"
        host.run("ip", "link", "add", "wan1", "type", "bridge")
        host.run("ip", "addr", "add", "203.0.113.2/24", "dev", "wan1")
        host.run("ip", "link", "set", "wan1", "up")
        host.run("ip", "route", "add", "default", "via", "203.0.113.1", "dev", "wan1", "metric", "500")
        found = eventually(lambda: findings(daemon), what="strict filters")
        assert [f["Kind"] for f in found] == ["reverse path filter"] * 2
        assert {f["Between"][1].split(",")[0] for f in found} == {"eth0", "wan1"}
        for one in found:
            heal(host, one)
        assert findings(daemon) == []

        def switched_off() -> list[dict[str, Any]]:
            """A late echo of the routes above has the daemon look, and put forwarding back by itself."""
            host.sysctl("net/ipv4/conf/eth0/forwarding", "0")
            return findings(daemon)

        (off,) = eventually(switched_off, what="forwarding that is off")
        assert off["Kind"] == "forwarding"
        heal(host, off)
        assert findings(daemon) == []
        policy = "type filter hook forward priority 0; policy drop;"
        host.run("nft", "-f", "-", stdin=f"table inet strange {{ chain mine {{ {policy} }}\n}}\n")
        (drop,) = findings(daemon)
        assert drop["Between"][1] == "the chain inet strange mine of an unknown owner"
        host.run("nft", "add", "rule", "inet", "strange", "mine", "meta mark & 0x40000000 != 0 accept")
        host.run("ip", "route", "add", "172.18.0.0/24", "dev", "wan1")
        assert [f["Kind"] for f in findings(daemon)] == ["address clash", "another firewall"]
