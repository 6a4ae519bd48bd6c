"""A daemon on a host of its own, whose name server lives beyond the uplink."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host
from netloom.testing.name_servers import NameServer


@pytest.fixture(scope="module")
def upstream(host: Host) -> Iterator[NameServer]:
    with NameServer(host.outside, OUTSIDE4) as server:
        yield server


@pytest.fixture(scope="module")
def daemon(host: Host, upstream: NameServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(host, tmp_path_factory.mktemp("d")) as daemon:
        yield daemon


@pytest.fixture
def box(daemon: Daemon) -> Iterator[Callable[..., str]]:
    """Starts a sleeping container, `box(name, *options)`; all are removed afterwards."""
    started: list[str] = []

    def start(name: str, *options: str) -> str:
        daemon.docker("run", "-d", "--name", name, *options, "host", "sleep", "600")
        started.append(name)
        return name

    yield start
    if started:
        daemon.docker("rm", "-f", *started)
