"""A daemon for each test module, in a host of its own with an uplink; tests use names of their own.

A folder that needs another host or daemon has fixtures of the same names.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host(uplink=True) as host:
        yield host


@pytest.fixture(scope="module")
def daemon(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(host, tmp_path_factory.mktemp("d")) as daemon:
        yield daemon
