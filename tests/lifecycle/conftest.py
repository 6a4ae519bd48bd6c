"""One daemon for each test module, in a host of its own; tests use names of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Host(uplink=True) as host, Daemon(host, tmp_path_factory.mktemp("d")) as daemon:
        yield daemon
