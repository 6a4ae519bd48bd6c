"""`docker stats`: samples, shared by all who look at one container at about the same time."""

from __future__ import annotations

import asyncio

from netloom.engine.core import Core
from netloom.model.container import Container
from netloom.model.usage import Usage

FRESH = 200_000_000  # ns for which a sample serves others too; a stream wants one a second


class Samples:
    """At most one sample of a container is under way; each waits for no slow reader."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._latest: dict[str, tuple[int, asyncio.Task[Usage]]] = {}

    async def take(self, container: Container) -> Usage:
        """What a running container uses now."""
        now = self._core.clock.now()
        for key in [key for key, (moment, _) in self._latest.items() if now - moment > FRESH]:
            del self._latest[key]
        known = self._latest.get(container.id)
        if known is None:
            work = self._core.runtime.usage(container.id, container.state.pid)
            known = (now, asyncio.ensure_future(work))
            self._latest[container.id] = known
        return await asyncio.shield(known[1])
