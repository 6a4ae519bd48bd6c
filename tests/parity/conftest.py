"""A daemon for each module, in a host of its own, with the resolv.conf under which the answers were captured."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host

RESOLV_CONF = f"nameserver {OUTSIDE4}\nsearch corp.test\n"


@pytest.fixture(scope="module")
def daemon(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(host, tmp_path_factory.mktemp("d"), resolv_conf=RESOLV_CONF) as daemon:
        yield daemon


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that knows nothing yet."""
    with Host(uplink=True) as host, Daemon(host, tmp_path_factory.mktemp("d"), resolv_conf=RESOLV_CONF) as daemon:
        yield daemon
