"""One daemon and one registry for each test module, in a host of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from registry import Registry, on_disk

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as host:
        yield host


@pytest.fixture(scope="module")
def registry(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(host, tmp_path_factory.mktemp("r") / "registry") as registry:
        yield registry


@pytest.fixture
def left(daemon: Daemon) -> Iterator[list[str]]:
    """The test removes what it makes: nothing of an image is left on disk."""
    yield []
    assert on_disk(daemon) == []
