"""`--ip-forward=false`: nothing is switched on, and what would need it is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Host, Netns, eventually


def test_what_needs_forwarding_is_refused_where_it_is_off(tmp_path: Path) -> None:
    with Host(uplink=True) as host:
        refused = Daemon(host, tmp_path, "--ip-forward=false")
        with pytest.raises(AssertionError, match=r"network bridge needs forwarding.*net/ipv4/conf/eth0/forwarding"):
            refused.start()
        assert not refused.data_plane_pid()
        assert host.sysctl("net/ipv4/conf/eth0/forwarding") == "0"
        host.sysctl("net/ipv4/conf/eth0/forwarding", "1")
        with Daemon(host, tmp_path, "--ip-forward=false") as daemon:
            assert "1 received" in daemon.docker("run", "--rm", "host", "ping", "-c1", "-W2", OUTSIDE4)
            assert host.sysctl("net/ipv6/conf/all/forwarding") == "0"
            done = daemon.docker_run("network", "create", "--ipv6", "six")
            assert done.returncode == 1
            assert "needs forwarding" in done.stderr
            host.sysctl("net/ipv4/conf/eth0/forwarding", "0")
            assert "needs forwarding" in daemon.docker_run("network", "create", "late").stderr
            daemon.docker("network", "create", "--internal", "inside")


def test_what_was_switched_on_is_switched_off_with_the_last_network(tmp_path: Path) -> None:
    with Host(uplink=True) as host, Daemon(host, tmp_path) as daemon:
        assert host.sysctl("net/ipv6/conf/all/forwarding") == "0"
        daemon.docker("network", "create", "--ipv6", "six")
        assert host.sysctl("net/ipv6/conf/all/forwarding") == "1"
        daemon.kill()
        daemon.start()
        daemon.docker("network", "rm", "six")
        assert host.sysctl("net/ipv6/conf/all/forwarding") == "0"
        assert host.sysctl("net/ipv4/conf/eth0/forwarding") == "1"


@pytest.mark.parametrize("again", [False, True], ids=["heard", "found"])
def test_who_wants_forwarding_after_us_has_it(tmp_path: Path, again: bool) -> None:
    """As a Docker that starts later. Until then nothing crosses between interfaces of others that did not before."""
    with Host(uplink=True) as host, Netns() as other, Daemon(host, tmp_path) as daemon:
        host.run("ip", "link", "add", "br9", "up", "type", "veth", "peer", "name", "eth0", "netns", other.netns_path)
        host.run("ip", "-batch", "-", stdin="addr add 10.9.0.1/24 dev br9\naddr add fd09::1/64 dev br9 nodad\n")
        other.run(
            "ip",
            "-batch",
            "-",
            stdin="""addr add 10.9.0.2/24 dev eth0
            addr add fd09::2/64 dev eth0 nodad
            link set eth0 up
            route add default via 10.9.0.1
            """,
        )
        other.run("ip", "-6", "route", "add", "default", "via", "fd09::1", "dev", "eth0")
        host.outside.run("ip", "route", "add", "10.9.0.0/24", "via", host.address4)
        host.outside.run("ip", "-6", "route", "add", "fd09::/64", "via", host.address6)
        daemon.docker("network", "create", "--ipv6", "six")
        host.own_links.add("br9")
        with host.outside.serve("0.0.0.0", 80), host.outside.serve("::", 80):
            assert other.misses(OUTSIDE4, 80)
            assert other.misses(OUTSIDE6, 80)
            if again:
                daemon.kill()
            host.sysctl("net/ipv4/ip_forward", "1")
            host.sysctl("net/ipv6/conf/default/forwarding", "1")
            if again:
                daemon.start()
            eventually(lambda: other.reaches(OUTSIDE4, 80), what="their IPv4")
            eventually(lambda: other.reaches(OUTSIDE6, 80), what="their IPv6")
            assert "put back" not in daemon.log_tail()
            daemon.docker("network", "rm", "six")
            assert other.reaches(OUTSIDE6, 80)
            daemon.stop()
            assert other.reaches(OUTSIDE4, 80)
            daemon.start()
            assert other.reaches(OUTSIDE6, 80)


def test_a_comparison_sees_the_hosts_switches(tmp_path: Path) -> None:
    with Host(uplink=True) as host:
        host.sysctl("net/ipv4/conf/eth0/forwarding", "0")
        with Daemon(host, tmp_path) as daemon:

            def compared(times: int) -> None:
                host.run("ip", "link", "set", "netloom0", "mtu", str(1300 + times))
                eventually(lambda: daemon.log_tail().count("put back") == times, what=f"comparison {times}")

            assert host.sysctl("net/ipv4/conf/eth0/forwarding") == "1"
            compared(1)
            assert "eth0/forwarding" not in daemon.log_tail()
            host.sysctl("net/ipv4/conf/eth0/forwarding", "0")
            compared(2)
            assert host.sysctl("net/ipv4/conf/eth0/forwarding") == "1"
