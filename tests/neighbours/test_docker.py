"""Beside Docker in one network namespace: the rules that a dockerd 28.5 wrote there for a container with port 9090.

The daemon itself is some hundred MB; what others meet of it are its rules (`iptables-save`, iptables-nft), its bridge
and the host's switches that it throws.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from traffic import Web, serving

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Host, Netns, eventually

pytestmark = pytest.mark.root

RULES = {family: Path(__file__).parent / f"testdata/docker-28.5-ipv{family}.rules" for family in (4, 6)}
RESTORE = {4: "iptables-nft-restore", 6: "ip6tables-nft-restore"}
OWN4, OWN6, PUBLISHED = "172.30.9.2", "fd00:30:9::2", 9090


class Docker:
    """Its bridge, its rules, and one container of it."""

    def __init__(self, host: Host, place: Netns) -> None:
        self.host = host
        self.place = place

    def start(self) -> None:
        """As dockerd does: forwarding for everybody, the bridge, the rules."""
        host, place = self.host, self.place
        for path in ("ipv4/ip_forward", "ipv6/conf/default/forwarding", "ipv6/conf/all/forwarding"):
            if host.sysctl(f"net/{path}") != "1":
                host.sysctl(f"net/{path}", "1")
        host.run("ip", "link", "add", "br-theirs", "type", "bridge")
        host.sysctl("net/ipv6/conf/br-theirs/accept_dad", "0")
        host.run(
            "ip", "-batch", "-", stdin="addr add 172.30.9.1/24 dev br-theirs\naddr add fd00:30:9::1/64 dev br-theirs"
        )
        host.run("ip", "link", "set", "br-theirs", "up")
        host.run("ip", "link", "add", "vtheirs", "type", "veth", "peer", "name", "eth0", "netns", place.netns_path)
        host.run("ip", "link", "set", "vtheirs", "master", "br-theirs", "up")
        place.run("ip", "-batch", "-", stdin=f"addr add {OWN4}/24 dev eth0\naddr add {OWN6}/64 dev eth0 nodad")
        place.run("ip", "link", "set", "eth0", "up")
        place.run("ip", "route", "add", "default", "via", "172.30.9.1")
        place.run("ip", "-6", "route", "add", "default", "via", "fd00:30:9::1", "dev", "eth0")
        self.rules()

    def rules(self) -> None:
        """All of them, as at each start of the daemon; what others put into DOCKER-USER is gone with it."""
        for family, file in RULES.items():
            self.host.run(RESTORE[family], stdin=file.read_text())

    def passes(self) -> bool:
        """Does its container reach other hosts, and is it reached by its port?"""
        ways = [(self.place, OUTSIDE4, 80), (self.place, OUTSIDE6, 80)]
        ways += [(self.host.outside, address, PUBLISHED) for address in (self.host.address4, self.host.address6)]
        return all(place.reaches(address, port) for place, address, port in ways)


@pytest.fixture
def docker(host: Host) -> Iterator[Docker]:
    with Netns() as place:
        host.own_links.update(("br-theirs", "vtheirs", "docker0"))
        yield Docker(host, place)


@pytest.mark.parametrize("first", ["docker", "netloom"])
def test_both_pass_and_neither_reaches_the_other(host: Host, docker: Docker, tmp_path: Path, first: str) -> None:
    with ExitStack() as stack:
        if first == "docker":
            docker.start()
        daemon = stack.enter_context(Daemon(host, tmp_path / "daemon"))
        web = Web(daemon, stack)
        if first == "netloom":
            docker.start()
        stack.enter_context(serving(docker.place, 80))

        told = daemon.inspect("web")["NetworkSettings"]["Networks"]["red"]
        direct = [(web.place, OWN4), (web.place, OWN6)]
        direct += [(docker.place, told[address]) for address in ("IPAddress", "GlobalIPv6Address")]

        def apart() -> bool:
            return all(place.misses(address, 80) for place, address in direct)

        def published() -> bool:
            ports = [(web.place, PUBLISHED), (docker.place, 8080)]
            return all(place.reaches(a, port) for place, port in ports for a in (host.address4, host.address6))

        def everything() -> bool:
            return web.passes() and docker.passes() and published() and apart()

        eventually(everything, what="both beside each other", timeout=30)
        docker.rules()
        eventually(everything, what="both after Docker's start", timeout=30)
        daemon.kill()
        assert everything()
        daemon.start()
        assert everything()
        daemon.docker("rm", "-f", "web")
        daemon.docker("network", "rm", "red")
        daemon.stop()
        assert docker.passes(), "it needs nothing of netloom's"
        assert "netloom" not in host.run("iptables-nft-save") + host.run("ip6tables-nft-save")
        daemon.start()
