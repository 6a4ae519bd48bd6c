"""An engine on fakes for tests beside the engine's modules."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from netloom.testing.engine_world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Started; afterwards everything agrees, and goes on agreeing after a restart."""
    world = World()
    await world.start()
    yield world
    await world.settle()
    world.check()
    await world.restart()
    await world.settle()
    world.check()
    await world.stop()
