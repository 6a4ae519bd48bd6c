"""`docker update`: limits, and the restart policy, of a container that stands."""

from __future__ import annotations

import msgspec

from netloom.containers.resources import SWAP
from netloom.containers.updating import Update, changed_resources, check_update, updated
from netloom.engine.core import Core
from netloom.engine.starting import told_as
from netloom.engine.tables import container_row
from netloom.model.container import Container
from netloom.model.errors import NetloomError, NotFound


class Updating:
    """Changes one container at a time, in its lane."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def update(self, ref: str, update: Update) -> None:
        """Record it and tell the kernel; where the kernel refuses, all is as it was."""
        core = self._core
        container = core.tables.container(ref)
        if update.limits.get("memory") and SWAP not in core.runtime.controllers:
            update = msgspec.structs.replace(update, limits={**update.limits, "memory_swap": -1})
        check_update(update, cpus=core.settings.cpus)
        async with core.lanes.hold(container.id):
            now = core.tables.containers.get(container.id)
            if now is None:
                raise NotFound(f"No such container: {ref}")
            try:
                await self._update(now, update)
            except NetloomError as error:
                raise told_as(f"Cannot update container {now.id}: ", error) from error
        core.publish_container("update", now)

    async def _update(self, container: Container, update: Update) -> None:
        core = self._core
        host_config = updated(container.host_config, update)
        resources = changed_resources(host_config, update)
        changed = msgspec.structs.replace(container, host_config=host_config)
        await core.worker.run(intents=[container_row(changed)])
        if resources and container.state.running:
            try:
                await core.runtime.update(container.id, resources)
            except BaseException:  # what the kernel took of it already is put back with the next update or start
                await core.worker.run(intents=[container_row(container)])
                raise
        # Its state may have changed meanwhile: a signal lets one that is paused go on without the lane.
        current = core.tables.containers[container.id]
        core.tables.put_container(msgspec.structs.replace(current, host_config=host_config))
        if current is not container:
            await core.worker.run(statuses=[container_row(core.tables.containers[container.id])])
