"""Beside a real firewalld: the daemon puts its bridges into the zone that accepts, and takes them out again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from programs import Firewalld, Programs

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Host, Netns, eventually

pytestmark = pytest.mark.root

SERVICE = 7000  # of the host


@pytest.fixture
def firewalld(host: Host, tmp_path: Path) -> Iterator[Firewalld]:
    with Programs(host, tmp_path) as programs:
        yield Firewalld(programs, tmp_path)


@pytest.fixture
def daemon(host: Host, firewalld: Firewalld, tmp_path: Path) -> Iterator[Daemon]:
    one = Daemon(host, tmp_path / "daemon")
    one.environment["DBUS_SYSTEM_BUS_ADDRESS"] = firewalld.address
    with one:
        yield one


def rules(host: Host) -> str:
    """What firewalld has put up, without what it counts."""
    return host.run("nft", "-s", "list", "table", "inet", "firewalld")


def test_containers_pass_and_everything_goes_at_the_end(host: Host, firewalld: Firewalld, daemon: Daemon) -> None:
    daemon.stop()
    before = rules(host)
    daemon.start()
    daemon.docker("network", "create", "--ipv6", "red")
    run = ("run", "-d", "--network", "red", "-p", "8080:80", "-p", "8080:80/udp")
    daemon.docker(*run, "--name", "web", "host", "sleep", "600")
    bridge = f"br-{daemon.network('red')['Id'][:12]}"
    assert firewalld.cmd(f"--get-zone-of-interface={bridge}") == "trusted"
    with Netns.of(daemon.inspect("web")["State"]["Pid"]) as web, ExitStack() as serving:
        for proto in ("tcp", "udp"):
            for any_address in ("0.0.0.0", "::"):
                serving.enter_context(web.serve(any_address, 80, proto))  # type: ignore[arg-type]
                serving.enter_context(host.outside.serve(any_address, 80, proto))  # type: ignore[arg-type]
            serving.enter_context(host.serve("0.0.0.0", SERVICE, proto))  # type: ignore[arg-type]
        gateway = daemon.network("red")["IPAM"]["Config"][0]["Gateway"]

        def passes() -> bool:
            return all(
                web.reaches(OUTSIDE4, 80, proto)
                and web.reaches(OUTSIDE6, 80, proto)
                and web.reaches(gateway, SERVICE, proto)
                and host.outside.reaches(host.address4, 8080, proto)
                and host.outside.reaches(host.address6, 8080, proto)
                for proto in ("tcp", "udp")
            )

        eventually(passes, what="traffic beside firewalld")
        # Theirs is as it was: what no zone lets in stays out.
        assert host.outside.misses(host.address4, SERVICE)
        firewalld.cmd("--reload")
        eventually(passes, what="traffic after a reload")
        firewalld.stop()
        firewalld.start()
        eventually(lambda: firewalld.cmd(f"--get-zone-of-interface={bridge}", check=False) == "trusted", what="zone")
        eventually(passes, what="traffic after a restart")
        daemon.kill()
        daemon.start()
        assert passes()
    daemon.docker("rm", "-f", "web")
    daemon.docker("network", "rm", "red")
    assert firewalld.cmd(f"--get-zone-of-interface={bridge}", check=False) == ""
    assert daemon.json("GET", "/netloom/doctor")["Findings"] == []
    daemon.stop()
    assert rules(host) == before


def test_a_bridge_that_a_person_has_put_into_a_zone_stays_there(
    host: Host, firewalld: Firewalld, daemon: Daemon
) -> None:
    daemon.docker("network", "create", "-o", "com.docker.network.bridge.name=mine0", "mine")
    firewalld.cmd("--zone=internal", "--change-interface=mine0")
    host.run("nft", "add", "table", "inet", "somebody")  # the daemon looks again
    daemon.docker("network", "create", "other")
    assert firewalld.cmd("--get-zone-of-interface=mine0") == "internal"
    daemon.docker("network", "rm", "mine", "other")
    assert firewalld.cmd("--get-zone-of-interface=mine0") == "internal"


def test_the_firewalld_of_another_host_is_not_asked(
    host: Host, firewalld: Firewalld, daemon: Daemon, tmp_path: Path
) -> None:
    """One bus may be seen by several: who answers there must be the one whose rules stand here."""
    with Host(uplink=True) as second:
        hook = "type filter hook forward priority 10; policy accept;"
        chain = f"chain filter_FORWARD {{ {hook}\n reject with icmpx admin-prohibited\n }}"
        second.run("nft", "-f", "-", stdin=f"table inet firewalld {{ {chain}\n }}\n")
        one = Daemon(second, tmp_path / "second", "--bip", "10.99.0.1/24")
        one.environment["DBUS_SYSTEM_BUS_ADDRESS"] = firewalld.address
        with one:
            before = firewalld.cmd("--get-active-zones")
            one.docker("network", "create", "red")
            assert firewalld.cmd("--get-active-zones") == before
            (finding,) = one.json("GET", "/netloom/doctor")["Findings"]
            assert "another network namespace" in finding["Remedy"]
            assert "firewall-cmd --zone=trusted --add-interface=BRIDGE" in finding["Remedy"]
