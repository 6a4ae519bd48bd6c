"""A compose project on a live daemon: what its services reach, and what is left of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host

VERSIONS = {"v2": ("docker", "compose"), "v1": ("docker-compose",)}
NAMES = {"v2": "shop-{}-1", "v1": "shop_{}_1"}


class Compose:
    """One version of compose, speaking about the project of the environment."""

    def __init__(self, version: str) -> None:
        self._program = VERSIONS[version]
        self._names = NAMES[version]

    def __call__(self, *words: str) -> str:
        """Its output; a failure raises AssertionError with all that it said."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The same, whatever comes of it."""
        return subprocess.run([*self._program, *words], capture_output=True, text=True, timeout=90, check=False)

    def ask(self, service: str, url: str) -> str:
        """What a service gets from a URL."""
        return self("exec", "-T", service, "busybox", "wget", "-q", "-O", "-", url).strip()

    def name(self, service: str) -> str:
        """The first container of a service."""
        return self._names.format(service)


def interfaces(host: Host) -> set[str]:
    return {line.split(":")[1] for line in host.run("ip", "-o", "link").splitlines()}


@pytest.fixture(params=list(VERSIONS))
def compose(request: pytest.FixtureRequest, project: Callable[[str], None]) -> Compose:
    project("shop")
    return Compose(request.param)


@pytest.mark.timeout(300)
def test_a_project_outlives_the_daemon_and_leaves_nothing(daemon: Daemon, host: Host, compose: Compose) -> None:
    links = interfaces(host)
    compose("up", "-d", "--scale", "api=2")
    web = daemon.inspect(compose.name("web"))["Config"]["Hostname"]

    def everything_answers() -> None:
        assert compose.ask("api", "http://database:5432/") == "stored"
        assert compose.ask("api", "http://10.78.1.5:5432/") == "stored"
        hosts = {daemon.inspect(compose.name("api").replace("1", n))["Config"]["Hostname"] for n in "12"}
        assert compose.ask("web", "http://backend:8000/hostname") in hosts
        assert host.run("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:18080/hostname").strip() == web
        assert compose("port", "web", "80").strip() == "127.0.0.1:18080"

    everything_answers()
    database = int(daemon.docker("inspect", compose.name("db"), "--format", "{{.State.Pid}}"))
    assert (
        "default"
        not in subprocess.run(
            ["nsenter", "-t", str(database), "-n", "ip", "route"], capture_output=True, text=True, check=True
        ).stdout
    )
    daemon.kill()
    daemon.start()
    everything_answers()
    compose("restart", "-t", "0", "db")
    everything_answers()

    compose("down", "-v", "-t", "0")
    assert daemon.json("GET", "/containers/json?all=1") == []
    assert {n["Name"] for n in daemon.json("GET", "/networks")} == {"bridge", "host", "none"}
    assert daemon.json("GET", "/volumes")["Volumes"] in ([], None)
    assert interfaces(host) == links


def test_what_would_be_built_is_refused(daemon: Daemon, project: Callable[[str], None]) -> None:
    """By version 1, which asks the daemon; version 2 would fetch a builder of its own from Docker Hub."""
    project("built")
    done = Compose("v1").run("up", "-d")
    assert done.returncode != 0
    assert "build elsewhere (docker save), and take the image in with docker load" in done.stdout + done.stderr
    assert daemon.docker("ps", "-aq") == ""
