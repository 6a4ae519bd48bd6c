"""Processes may die: the data plane, the daemon, a container's init; who is left carries on."""

from __future__ import annotations

import os
import signal

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns, eventually


def resolves(daemon: Daemon, container: str, name: str) -> bool:
    done = daemon.docker_run("exec", container, "dig", "+short", "+time=5", "+tries=1", "@127.0.0.11", name)
    return bool(done.stdout.strip())


def test_names_answer_again_after_the_data_plane_has_died(daemon: Daemon, host: Host) -> None:
    daemon.docker("network", "create", "pr-a")
    for name in ("pr-one", "pr-two"):
        daemon.docker("run", "-d", "--name", name, "--network", "pr-a", "-p", "80", "host", "sleep", "600")
    assert resolves(daemon, "pr-one", "pr-two")
    old = daemon.data_plane_pid()
    os.kill(old, signal.SIGKILL)
    eventually(lambda: resolves(daemon, "pr-one", "pr-two"), what="names answer again")
    assert daemon.data_plane_pid() not in (0, old)
    daemon.docker("rm", "-f", "pr-one", "pr-two")
    daemon.docker("network", "rm", "pr-a")
    assert check(daemon) == []


def test_names_answer_while_there_is_no_daemon(daemon: Daemon) -> None:
    daemon.docker("network", "create", "pr-b")
    for name in ("pr-three", "pr-four"):
        daemon.docker("run", "-d", "--name", name, "--network", "pr-b", "host", "sleep", "600")
    pid = daemon.inspect("pr-three")["State"]["Pid"]
    daemon.kill()
    with Netns.of(pid) as inside:
        for query in (["pr-four"], ["+tcp", "pr-four"]):
            assert inside.run("dig", "+short", "+time=10", "+tries=1", "@127.0.0.11", *query).strip()
    daemon.start()
    daemon.docker("rm", "-f", "pr-three", "pr-four")
    daemon.docker("network", "rm", "pr-b")
    assert check(daemon) == []


def test_two_hosts_with_one_subnet_do_not_meet(daemon: Daemon, host: Host, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    with (
        Host(outside=host.outside, number=3) as second,
        Daemon(second, tmp_path_factory.mktemp("e")) as other,
    ):
        for one in (daemon, other):
            one.docker("network", "create", "--subnet", "10.66.0.0/24", "pr-same")
            ip = "10.66.0.10" if one is daemon else "10.66.0.20"
            one.docker("run", "-d", "--name", "pr-box", "--network", "pr-same", "--ip", ip, "host", "sleep", "600")
        with Netns.of(daemon.inspect("pr-box")["State"]["Pid"]) as inside:
            assert inside.ping("198.51.100.3")
            assert not inside.ping("10.66.0.20", timeout=0.3)
        for one in (daemon, other):
            one.docker("rm", "-f", "pr-box")
            one.docker("network", "rm", "pr-same")
            assert check(one) == []


def test_a_second_daemon_on_the_same_state_is_refused(daemon: Daemon) -> None:
    with Host() as elsewhere:
        for place, sentence in (
            (daemon.host, "works in this network namespace"),
            (elsewhere, "in use by another daemon"),
        ):
            twin = Daemon(place, daemon.directory)
            twin.log = daemon.directory / "twin.log"
            twin.spawn()
            eventually(lambda t=twin: not t.running)  # type: ignore[misc]
            assert sentence in twin.log_tail()
    assert daemon.docker("network", "ls", "-q")


def test_a_reused_address_is_reached_at_once(daemon: Daemon) -> None:
    daemon.docker("network", "create", "--subnet", "10.67.0.0/24", "pr-c")
    daemon.docker("run", "-d", "--name", "pr-five", "--network", "pr-c", "host", "sleep", "600")
    with Netns.of(daemon.inspect("pr-five")["State"]["Pid"]) as inside:
        for _ in range(3):
            daemon.docker(
                "run", "-d", "--name", "pr-six", "--network", "pr-c", "--ip", "10.67.0.99", "host", "sleep", "60"
            )
            eventually(lambda: inside.ping("10.67.0.99", timeout=0.3), timeout=10, what="answer of the new one")
            daemon.docker("rm", "-f", "pr-six")
    daemon.docker("rm", "-f", "pr-five")
    daemon.docker("network", "rm", "pr-c")
