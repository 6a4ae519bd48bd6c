"""One daemon for each test module; its image `host` is this machine's own root."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Host() as host, Daemon(host, tmp_path_factory.mktemp("d")) as daemon:
        yield daemon
