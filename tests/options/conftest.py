"""The host has no uplink: nothing here leaves it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netloom.testing.hosts import Host


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as host:
        yield host
