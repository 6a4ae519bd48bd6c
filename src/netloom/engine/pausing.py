"""`docker pause` and `unpause`."""

from __future__ import annotations

import signal as signals

import msgspec

from netloom.containers.lifecycle import paused, resumed
from netloom.engine.core import Core
from netloom.engine.execs import refuse_ended
from netloom.engine.tables import container_row
from netloom.model.container import Container
from netloom.model.errors import Conflict, Failed, NotFound


class Pausing:
    """Freezes containers and lets them go on, each in its lane; a signal lets one go on without."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def pause(self, ref: str) -> None:
        """Stop all its processes where they are. Raises Conflict when it does not run, or is paused already."""
        core = self._core
        container = core.tables.container(ref)
        async with core.lanes.hold(container.id):
            container = self._now(container, ref)
            refuse_ended(container)
            if container.state.paused:
                raise Conflict(f"Container {container.id} is already paused")
            try:
                await core.runtime.freeze(container.id)
            except Failed as error:
                raise Failed(f"Cannot pause container {container.id}: {error.sentence}") from error
            try:
                await self._write(msgspec.structs.replace(container, state=paused(container.state)))
            except BaseException:
                core.tables.put_container(container)
                await core.runtime.thaw(container.id)
                raise
            core.publish_container("pause", container)

    async def unpause(self, ref: str) -> None:
        """Let them go on. Raises Failed when it is not paused, as Docker does."""
        core = self._core
        container = core.tables.container(ref)
        async with core.lanes.hold(container.id):
            container = self._now(container, ref)
            if not container.state.paused:
                raise Failed(f"Container {container.id} is not paused")
            await core.runtime.thaw(container.id)
            await self._resumed(container.id)

    async def let_go(self, key: str, number: int) -> None:
        """A signal was sent to a container: one that is paused goes on, or the signal would not reach it."""
        core = self._core
        container = core.tables.containers.get(key)
        if container is None or not container.state.paused:
            return
        await core.runtime.thaw(key)
        if number != signals.SIGKILL:  # that one ends it: there is nothing that goes on
            await self._resumed(key)

    async def _resumed(self, key: str) -> None:
        container = self._core.tables.containers.get(key)
        if container is None or not container.state.paused:
            return  # it has ended meanwhile
        await self._write(msgspec.structs.replace(container, state=resumed(container.state)))
        self._core.publish_container("unpause", container)

    async def _write(self, container: Container) -> None:
        self._core.tables.put_container(container)
        await self._core.worker.run(statuses=[container_row(container)])

    def _now(self, container: Container, ref: str) -> Container:
        now = self._core.tables.containers.get(container.id)
        if now is None:
            raise NotFound(f"No such container: {ref}")
        return now
