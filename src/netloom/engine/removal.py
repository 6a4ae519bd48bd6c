"""Removing containers: once each, though several ask for it."""

from __future__ import annotations

import signal as signals
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

import msgspec

from netloom.engine.attaching import Attaching
from netloom.engine.core import Core
from netloom.engine.execs import Execs
from netloom.engine.health import TABLE, HealthChecks
from netloom.engine.restarting import Restarting
from netloom.engine.starting import Starting, told_as
from netloom.engine.stopping import Stopping
from netloom.engine.tables import container_row, gone
from netloom.engine.volumes import Volumes
from netloom.engine.waits import Waits
from netloom.model.container import Container
from netloom.model.errors import Conflict, Failed, NetloomError, NotFound

Follow: TypeAlias = Callable[[Container, Callable[[], None]], Awaitable[None]]


class Removal:
    """Docker's `rm`, and the end of containers that were run with `--rm`."""

    def __init__(
        self,
        core: Core,
        attaching: Attaching,
        volumes: Volumes,
        starting: Starting,
        stopping: Stopping,
        restarting: Restarting,
        execs: Execs,
        checks: HealthChecks,
        waits: Waits,
    ) -> None:
        self._core = core
        self._attaching = attaching
        self._volumes = volumes
        self._starting = starting
        self._stopping = stopping
        self._restarting = restarting
        self._execs = execs
        self._checks = checks
        self._waits = waits
        self._under_way: set[str] = set()
        self.follow: Follow = follow_nothing
        self.released: Callable[[], Awaitable[None]] = _nothing

    async def remove(self, ref: str, *, force: bool, volumes: bool = False) -> None:
        """Remove a container with all that it left; a running one only by force, however often it is started again."""
        container = self._core.tables.container(ref)
        if container.id in self._under_way:
            raise Conflict(f"removal of container {ref} is already in progress")
        _refuse_running(container, ref, force=force)
        self._under_way.add(container.id)
        try:
            while not await self._removed(container.id, ref, force=force, volumes=volumes):
                continue
        finally:
            self._under_way.discard(container.id)

    async def prune(self, candidates: Sequence[str]) -> tuple[list[str], int]:
        """Remove those that do not run; which they were, and how many bytes they held. A failure stops nobody else."""
        core = self._core
        pruned, reclaimed = [], 0
        for key in candidates:
            container = core.tables.containers.get(key)
            if container is None or container.state.status not in ("created", "exited", "dead"):
                continue
            try:
                size = await core.runtime.scratch_size(key)
                await self.remove(key, force=False, volumes=False)
            except NetloomError as error:
                if not isinstance(error, Conflict | NotFound):  # else somebody was faster
                    core.complain(f"container {container.name} could not be pruned", error)
                continue
            pruned.append(key)
            reclaimed += size
        core.publish("container", "prune", "", reclaimed=str(reclaimed))
        return pruned, reclaimed

    async def finish(self, key: str) -> None:
        """Remove a container that does not run (`--rm`, or a removal that was cut short); unknown is success."""
        if key in self._under_way:
            return  # somebody does it
        self._under_way.add(key)
        try:
            async with self._core.lanes.hold(key):
                container = self._core.tables.containers.get(key)
                if container is not None and not container.state.running:
                    await self.take(container)
        finally:
            self._under_way.discard(key)

    async def sweep(self) -> None:
        """What earlier failures have left: processes of ended containers, and containers that were run with `--rm`."""
        core = self._core
        for key in list(core.unswept):
            async with core.lanes.hold(key):
                container = core.tables.containers.get(key)
                if key in core.unswept and not (container and container.state.running):
                    await core.runtime.delete(key)
                core.unswept.discard(key)
        for container in list(core.tables.containers.values()):
            if forgotten(container) and container.id not in core.kept and not core.lanes.held(container.id):
                await self.finish(container.id)

    async def _removed(self, key: str, ref: str, *, force: bool, volumes: bool) -> bool:
        """One attempt; False when the container was started again meanwhile."""
        core = self._core
        running = core.tables.containers.get(key)
        if running is not None and running.state.running:
            try:
                await self._stopping.kill(running, signals.SIGKILL)
            except Failed as error:
                raise told_as(f'cannot remove container "{ref}": could not kill container: ', error) from error
        async with core.lanes.hold(key):
            container = core.tables.containers.get(key)
            if container is None:
                raise NotFound(f"No such container: {ref}")
            _refuse_running(container, ref, force=force)
            if container.state.running:
                return False
            if container.state.restarting:
                container = await self._restarting.settle(container)
            await self.take(container, volumes=volumes)
        return True

    async def take(self, container: Container, *, volumes: bool = False) -> None:
        """Remove a container that does not run; its lane is held. On failure it is as before.

        With `--rm`, or where it is asked for, its own volumes go too; which ones is recorded before the first goes.
        """
        core = self._core
        removing = msgspec.structs.replace(container, state=msgspec.structs.replace(container.state, status="removing"))
        if not (volumes or container.host_config.auto_remove or container.state.status == "removing"):
            kept = tuple(msgspec.structs.replace(point, owned=False) for point in container.mounts)
            removing = msgspec.structs.replace(removing, mounts=kept)
        core.tables.put_container(removing)
        try:
            await core.worker.run(intents=[container_row(removing)])
            await core.runtime.delete(container.id)
            await core.runtime.purge(container.id)
            core.at("purged")
            await self._volumes.leave(removing)
            core.at("left")
            await core.worker.run(statuses=[gone("containers", container.id), gone(TABLE, container.id)])
        except BaseException:
            core.tables.put_container(container)
            await self._write_back(container)
            raise
        self._starting.abandon(container.id)
        self._execs.forget(container.id)
        self._checks.forget(container.id)
        core.by_hand.discard(container.id)
        for name, config in container.networks.items():
            network = core.tables.network_named(name)
            if network is not None:
                self._attaching.allot.release_static(container, network, config)
        await self.follow(container, partial(core.tables.drop_container, container))
        core.publish_container("destroy", container)
        self._waits.removed(container)
        try:
            await self.released()
        except Exception as error:  # the container is gone all the same; the next removal tries again
            core.complain(f"the image of container {container.name} could not be let go", error)

    async def _write_back(self, container: Container) -> None:
        try:
            await self._core.worker.run(statuses=[container_row(container)])
            await self._volumes.complete(container)
        except Exception as error:
            self._core.complain(f"the failed removal of container {container.name} could not be written down", error)


async def follow_nothing(container: Container, change: Callable[[], None]) -> None:
    """Nobody else follows a change of the tables."""
    change()


async def _nothing() -> None:
    """Nobody is told that a container has gone."""


def _refuse_running(container: Container, ref: str, *, force: bool) -> None:
    if container.state.paused and not force:
        raise Conflict(f'cannot remove container "{ref}": container is paused and must be unpaused first')
    if (container.state.running or container.state.restarting) and not force:
        raise Conflict(
            f'cannot remove container "{ref}": container is {container.state.status}: '
            "stop the container before removing or force remove"
        )


def forgotten(container: Container) -> bool:
    """Run with `--rm`, it has ended, and nobody came to remove it."""
    return container.host_config.auto_remove and container.state.status == "exited"
