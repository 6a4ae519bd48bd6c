"""A server on a unix socket in front of an engine in memory, and a client of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from netloom.api.server import ApiServer
from netloom.testing.api_client import Client
from netloom.testing.fake_backend import FakeBackend


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(time.time_ns)


@pytest.fixture
async def server(backend: FakeBackend, tmp_path: Path) -> AsyncIterator[ApiServer]:
    server = ApiServer(backend)
    await server.listen_unix(tmp_path / "api.sock")
    yield server
    await server.stop()


@pytest.fixture
async def api(server: ApiServer, tmp_path: Path) -> Client:
    return Client(tmp_path / "api.sock")
