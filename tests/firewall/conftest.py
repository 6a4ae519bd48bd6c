"""The world of these tests, made once for each module and for each way of bridged packets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from town import BOXES, NUMBERS, Town
from world import World

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host


@pytest.fixture(scope="module", params=[False, True], ids=["brnf0", "brnf1"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack, request.param)


@pytest.fixture(scope="module", params=[False, True], ids=["brnf0", "brnf1"])
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """What policies are about, likewise."""
    with Host(uplink=True) as host:
        host.bridge_netfilter(request.param)
        with Daemon(host, tmp_path_factory.mktemp("d")) as daemon:
            with ExitStack() as stack:
                yield Town(daemon, stack)
            for name in BOXES:
                daemon.docker("rm", "-f", name)
            for name in NUMBERS:
                daemon.docker("network", "rm", name)
