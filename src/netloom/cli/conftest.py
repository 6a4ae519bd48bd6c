"""A real daemon in a host of its own, and the command run against it as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Host(uplink=True) as host, Daemon(host, tmp_path_factory.mktemp("d")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def netloom(daemon: Daemon) -> Run:
    """`netloom("network", "ls")`: the finished process, its output as text."""

    def run(*words: str, stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=environment(daemon),
        )

    return run


def command(*words: str) -> list[str]:
    """The command line of `netloom`."""
    return [sys.executable, "-m", "netloom", *words]


def environment(daemon: Daemon) -> dict[str, str]:
    """This process's, with the daemon's address."""
    return {**os.environ, "NETLOOM_HOST": f"unix://{daemon.socket}"}
