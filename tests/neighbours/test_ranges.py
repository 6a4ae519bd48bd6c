"""Many ports of one container: one element in the kernel, and everything that is asked of single ports holds."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from traffic import PROTOCOLS

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host, Netns, eventually

pytestmark = pytest.mark.root


def elements(host: Host, name: str) -> int:
    listing = json.loads(host.run("nft", "-j", "list", "map", "inet", "netloom", name))["nftables"]
    return len(listing[1]["map"].get("elem", []))


def netloom(daemon: Daemon, *words: str, stdin: str = "") -> None:
    command = [sys.executable, "-m", "netloom", "-H", f"unix://{daemon.socket}", *words]
    subprocess.run(command, input=stdin, text=True, check=True, capture_output=True)


def test_a_range_is_published_changed_and_healed(tmp_path: Path) -> None:
    with ExitStack() as stack:
        host = stack.enter_context(Host(uplink=True))
        daemon = stack.enter_context(Daemon(host, tmp_path))
        daemon.docker("network", "create", "--ipv6", "red")
        ports = ("-p", "8000-8999:8000-8999", "-p", "8000-8999:8000-8999/udp", "-p", "9000-9099:7000-7099")
        daemon.docker("run", "-d", "--name", "web", "--network", "red", *ports, "host", "sleep", "600")
        assert (elements(host, "published_ranges4"), elements(host, "published4")) == (2, 100)
        assert check(daemon) == []
        shown = daemon.docker("port", "web").splitlines()
        assert len(shown) == 2 * (1000 + 1000 + 100)
        assert "8500/udp -> [::]:8500" in shown
        web = stack.enter_context(Netns.of(daemon.inspect("web")["State"]["Pid"]))
        for proto in PROTOCOLS:
            for where, port in (("0.0.0.0", 8000), ("::", 8000), ("0.0.0.0", 8500), ("0.0.0.0", 8999)):
                stack.enter_context(web.serve(where, port, proto))
        stack.enter_context(web.serve("0.0.0.0", 7050))

        def reached(*numbers: int) -> bool:
            return all(
                host.outside.reaches(address, port, proto)
                for address, port in ((host.address4, p) for p in numbers)
                for proto in PROTOCOLS
            )

        eventually(lambda: reached(8000, 8500, 8999), what="both ends and the middle")
        assert host.outside.ask(host.address4, 8500).address == OUTSIDE4
        # The host asks for neighbours on behalf of others once its own link-local address is known to be unique.
        eventually(lambda: host.outside.reaches(host.address6, 8000), what="the first end by IPv6")
        assert host.outside.reaches(host.address4, 9050)
        assert host.reaches("127.0.0.1", 8999)
        # Policies speak of the container's ports, whatever element leads there.
        entry = {"from": {"cidr": f"{OUTSIDE4}/32"}, "to": {"container": "web"}, "ports": ["8400-8600/tcp", 7050]}
        netloom(daemon, "policy", "apply", "-", stdin=json.dumps({"name": "shop", "deny": [entry]}))
        assert host.outside.misses(host.address4, 8500)
        assert host.outside.misses(host.address4, 9050)
        assert host.outside.reaches(host.address4, 8500, "udp")
        assert reached(8000, 8999)
        assert check(daemon) == []
        netloom(daemon, "policy", "rm", "shop")
        refused = daemon.docker_run("run", "--rm", "-p", "8999:80", "host", "true")
        assert "Bind for 0.0.0.0:8999 failed: port is already allocated" in refused.stderr
        # One of them goes, another container has it, and it comes back.
        netloom(daemon, "port", "rm", "web", "8500:8500")
        assert elements(host, "published_ranges4") == 3
        assert host.outside.misses(host.address4, 8500)
        assert reached(8000, 8999)
        assert check(daemon) == []
        daemon.docker("run", "--rm", "-p", "8500:80", "host", "true")
        netloom(daemon, "port", "add", "web", "8500:8500")
        assert elements(host, "published_ranges4") == 2
        eventually(lambda: reached(8000, 8500, 8999), what="the port that came back")
        # What others do to it is undone.
        host.run("nft", "flush", "map", "inet", "netloom", "published_ranges4")
        eventually(lambda: reached(8000, 8500, 8999), what="a flushed map")
        host.run("nft", "delete", "element", "inet", "netloom", "published_ranges4", "{ tcp . 8000-8999 }")
        host.run("nft", "add", "element", "inet", "netloom", "published_ranges4", "{ tcp . 8400-8600 : 192.0.2.9 }")
        eventually(lambda: reached(8000, 8500, 8999), what="another range in its place")
        daemon.kill()
        daemon.start()
        assert check(daemon) == []
        assert reached(8000, 8500, 8999)
        daemon.docker("rm", "-f", "web")
        assert elements(host, "published_ranges4") == elements(host, "published4") == 0
        assert check(daemon) == []
