"""Restart policies, health checks and ends of every kind, with the real docker CLI and real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import eventually

pytestmark = pytest.mark.cgroups


def state(daemon: Daemon, name: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.inspect(name)["State"]
    return found


def status(daemon: Daemon, name: str) -> str:
    return daemon.docker("ps", "-a", "--filter", f"name=^{name}$", "--format", "{{.Status}}")


def gone(daemon: Daemon, name: str) -> bool:
    return daemon.docker_run("inspect", name).returncode != 0


def monitor_of(container: str) -> int:
    """The pid of a container's conmon."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"conmon") and container.encode() in words:
            return int(entry)
    raise AssertionError(f"nobody watches {container}")


def test_on_failure_counts_and_gives_up(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "li-of", "--restart", "on-failure:2", "host", "sh", "-c", "echo run; exit 3")
    eventually(lambda: state(daemon, "li-of")["Status"] == "exited")
    found = daemon.inspect("li-of")
    assert (found["RestartCount"], found["State"]["ExitCode"]) == (2, 3)
    assert daemon.docker("logs", "li-of") == "run\nrun\nrun"
    daemon.docker("rm", "li-of")


def test_one_that_waits(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "li-w", "--restart", "always", "-p", "8081:80", "host", "false")
    eventually(lambda: daemon.inspect("li-w")["RestartCount"] >= 5)
    eventually(lambda: state(daemon, "li-w")["Restarting"])
    found = state(daemon, "li-w")
    assert (found["Status"], found["Running"], found["Pid"], found["ExitCode"]) == ("restarting", True, 0, 1)
    assert status(daemon, "li-w").startswith("Restarting (1) ")
    assert "li-w" in daemon.docker("ps", "--format", "{{.Names}}")
    refused = daemon.docker("rm", "li-w", check=False)
    assert "container is restarting: stop the container before removing or force remove" in refused
    assert "is restarting, wait until the container is running" in daemon.docker("exec", "li-w", "true", check=False)
    assert check(daemon) == []
    count = daemon.inspect("li-w")["RestartCount"]
    daemon.kill()
    daemon.start()
    assert state(daemon, "li-w")["Status"] in ("restarting", "running", "exited")
    eventually(lambda: daemon.inspect("li-w")["RestartCount"] > count)
    daemon.docker("stop", "li-w")
    assert state(daemon, "li-w")["Status"] == "exited"
    daemon.docker("rm", "li-w")
    assert check(daemon) == []


def test_ends_that_nobody_saw(daemon: Daemon) -> None:
    """`--rm` and policies hold for containers that ended while there was no daemon."""
    names = {"li-rm": ["--rm"], "li-al": ["--restart", "always"], "li-no": []}
    for name, options in names.items():
        daemon.docker(
            "run", "-d", "--name", name, *options, "host", "sh", "-c", "trap 'exit 7' TERM; sleep 1000 & wait"
        )
    pids = {name: state(daemon, name)["Pid"] for name in names}
    daemon.kill()
    for pid in pids.values():
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids.values()))
    daemon.start()
    eventually(lambda: gone(daemon, "li-rm"))
    eventually(lambda: state(daemon, "li-al")["Status"] == "running")
    assert daemon.inspect("li-al")["RestartCount"] == 1
    found = state(daemon, "li-no")
    assert (found["Status"], found["ExitCode"]) == ("exited", 7)
    daemon.docker("rm", "-f", "li-al", "li-no")
    assert check(daemon) == []


def test_health(daemon: Daemon) -> None:
    options = ["--health-interval", "200ms", "--health-timeout", "300ms", "--health-retries", "2"]
    probe = "echo asked; test -e /tmp/hang && sleep 1000; test -e /tmp/ok"
    daemon.docker("run", "-d", "--name", "li-h", "--health-cmd", probe, *options, "host", "sleep", "1000")
    assert "(health: starting)" in status(daemon, "li-h")
    eventually(lambda: "(unhealthy)" in status(daemon, "li-h"))
    daemon.docker("exec", "li-h", "touch", "/tmp/ok")
    eventually(lambda: "(healthy)" in status(daemon, "li-h"))
    assert daemon.docker("ps", "--filter", "health=healthy", "--format", "{{.Names}}") == "li-h"
    last = state(daemon, "li-h")["Health"]["Log"][-1]
    assert (last["ExitCode"], last["Output"]) == (0, "asked\n")
    daemon.kill()
    daemon.start()
    assert state(daemon, "li-h")["Health"]["Status"] == "healthy"
    daemon.docker("exec", "li-h", "touch", "/tmp/hang")
    eventually(lambda: state(daemon, "li-h")["Health"]["Status"] == "unhealthy")
    last = state(daemon, "li-h")["Health"]["Log"][-1]
    assert (last["ExitCode"], last["Output"]) == (-1, "Health check exceeded timeout (300ms): asked\n")
    events = daemon.api("GET", f"/events?since=1&until={time.time():.9f}")[1].decode()
    assert '"health_status: unhealthy"' in events
    assert '"exec_create: /bin/sh -c echo asked' in events
    daemon.docker("rm", "-f", "li-h")
    assert check(daemon) == []


def test_a_monitor_that_was_killed(daemon: Daemon) -> None:
    """What is told stays true: it runs, can be entered, stopped and removed; only its stdio and its code are lost."""
    key = daemon.docker("run", "-d", "--name", "li-m", "host", "sleep", "1000")
    os.kill(monitor_of(key), signal.SIGKILL)
    eventually(lambda: b"its monitor" in daemon.api("POST", "/containers/li-m/attach?stream=1&stdout=1")[1])
    assert state(daemon, "li-m")["Status"] == "running"
    assert daemon.docker("exec", "li-m", "echo", "inside") == "inside"
    daemon.docker("stop", "-t", "0", "li-m")
    found = state(daemon, "li-m")
    assert (found["Status"], found["Running"], found["Pid"]) == ("exited", False, 0)
    assert found["ExitCode"] == 137 or "exit code unknown" in found["Error"]
    daemon.docker("start", "li-m")
    daemon.docker("rm", "-f", "li-m")
    assert check(daemon) == []


def test_logs_are_followed_to_the_end_of_the_run(daemon: Daemon) -> None:
    """As with Docker a follower's stream ends with the run, and the next one has all runs before it."""
    daemon.docker("run", "-d", "--name", "li-l", "host", "sh", "-c", "trap 'exit 0' TERM; echo run; sleep 1000 & wait")
    with subprocess.Popen(daemon.command("logs", "-f", "li-l"), stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "run\n"
        daemon.docker("restart", "li-l")
        assert follower.communicate(timeout=10)[0] == ""
    eventually(lambda: daemon.docker("logs", "li-l") == "run\nrun")
    daemon.docker("rm", "-f", "li-l")


def test_prune(daemon: Daemon) -> None:
    for name, label in (("li-p1", "a=1"), ("li-p2", "a=2")):
        daemon.docker("run", "--name", name, "--label", label, "host", "sh", "-c", "head -c 100000 /dev/zero >/tmp/f")
    daemon.docker("run", "-d", "--name", "li-p3", "host", "sleep", "1000")
    pruned = json.loads(daemon.api("POST", '/containers/prune?filters={"label":["a=1"]}')[1])
    assert len(pruned["ContainersDeleted"]) == 1
    assert 100_000 <= pruned["SpaceReclaimed"] < 200_000
    assert daemon.docker("container", "prune", "-f", "--filter", "until=1h") == "Total reclaimed space: 0B"
    text = daemon.docker("container", "prune", "-f")
    assert text.startswith("Deleted Containers:\n")
    assert daemon.docker("ps", "-a", "--format", "{{.Names}}") == "li-p3"
    daemon.docker("rm", "-f", "li-p3")
    assert check(daemon) == []


def test_many_at_once(daemon: Daemon) -> None:
    """20 short lives by 10 clients: all run, none is lost, nothing is left."""

    def run(number: int) -> str:
        return daemon.docker("run", "--rm", "host", "echo", str(number))

    with ThreadPoolExecutor(10) as clients:
        assert list(clients.map(run, range(20))) == [str(number) for number in range(20)]
    eventually(lambda: not daemon.json("GET", "/containers/json?all=1"))
    assert check(daemon) == []
