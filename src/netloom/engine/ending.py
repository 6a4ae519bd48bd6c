"""From running to exited, whoever caused it: networks, names, ports and processes go, the truth is written down."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec

from netloom.containers.lifecycle import exited, restarting
from netloom.containers.restart import next_delay, restarts
from netloom.engine.attaching import Attaching
from netloom.engine.core import Core
from netloom.engine.mounting import Mounting
from netloom.engine.ports import Exit
from netloom.engine.tables import container_row
from netloom.engine.waits import Waits
from netloom.model.container import Container

_SECOND = 1_000_000_000


class Ending:
    """Reacts to the end of containers' init processes."""

    def __init__(self, core: Core, attaching: Attaching, mounting: Mounting, waits: Waits) -> None:
        self._core = core
        self._attaching = attaching
        self._mounting = mounting
        self._waits = waits
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopping: Counter[str] = Counter()  # containers that a `stop` waits for
        self.auto_remove: Callable[[str], Awaitable[None]] | None = None
        self.again: Callable[[Container], None] | None = None  # told of one that its policy starts again
        self.over: Callable[[str], None] | None = None  # told of every end

    def ended(self, container: str, how: Exit) -> None:
        """The runtime's notice: handled in a task, in the container's lane."""
        task = asyncio.get_running_loop().create_task(self._ended(container, how))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._core.complain("the end of a container could not be followed", error)

    async def drain(self) -> None:
        """Wait for what is under way (daemon's stop)."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _ended(self, key: str, how: Exit) -> None:
        async with self._core.lanes.hold(key):
            container = self._core.tables.containers.get(key)
            if container is None or not container.state.running:
                return
            container = await self.finish(container, how)
        if container.host_config.auto_remove and key not in self._core.kept and self.auto_remove is not None:
            await self.auto_remove(key)

    async def finish(self, container: Container, how: Exit) -> Container:
        """Dismantle, write the state, tell everybody; its policy may start it again. The lane is held by the caller."""
        core = self._core
        if self.over is not None:
            self.over(container.id)
        await self.dismantle(container)
        state = container.state
        moment = how.time_nano or core.clock.now()
        ended = msgspec.structs.replace(
            container, sandbox="", state=exited(state, how.code, moment, oom_killed=how.oom_killed)
        )
        code = ended.state.exit_code
        ended = self._by_policy(ended, code)
        core.tables.put_container(ended)
        try:
            await core.worker.run(statuses=[container_row(ended)])
        except Exception as error:  # it has ended all the same, and somebody waits for the news
            core.complain(f"the end of container {container.name} could not be written down", error)
        self._mounting.unmounted(ended)
        if self.stopping[container.id]:
            core.publish_container("stop", ended)
        seconds = max(0, ended.state.finished - state.started) // _SECOND
        if how.oom_killed:
            core.publish_container("oom", ended)
        core.publish_container("die", ended, execDuration=str(seconds), exitCode=str(code))
        self._waits.exited(container.id, code)
        if ended.state.restarting and self.again is not None:
            self.again(ended)
        return ended

    def _by_policy(self, ended: Container, code: int) -> Container:
        """Restarting where its policy says so; and it is remembered that somebody has stopped it."""
        core, state = self._core, ended.state
        if ended.id in core.by_hand:
            core.by_hand.discard(ended.id)
            ended = msgspec.structs.replace(ended, manually_stopped=True)
        if ended.id in core.kept or not restarts(ended, code):
            return ended
        delay = next_delay(ended.backoff, state.finished - state.started)
        return msgspec.structs.replace(
            ended, state=restarting(state), backoff=delay, restart_count=ended.restart_count + 1
        )

    async def dismantle(self, container: Container) -> None:
        """All that a container's run has put up, in any half-made state; the scratch layer and the log stay."""
        core = self._core
        attaching = self._attaching
        endpoints = list(core.tables.endpoints_of(container.id))
        attaching.endpoints.going(endpoints)
        for step in (
            attaching.names.drop(endpoints),
            attaching.names.close(container),
            attaching.publishing.withdraw(container.id),
            self._processes_gone(container),
            attaching.endpoints.remove(endpoints),
        ):
            try:
                await step
            except Exception as error:  # what can still go, goes; the comparison that follows finds the rest
                core.complain(f"container {container.name} could not be taken down at once", error)
        for endpoint in endpoints:
            network = core.tables.networks[endpoint.network]
            attaching.allot.release(endpoint, container.networks.get(network.name), keep_static=True)
            core.publish(
                "network", "disconnect", network.id, container=container.id, name=network.name, type=network.driver
            )
        namespace = core.sandboxes.pop(container.sandbox, None)
        if namespace is not None:
            namespace.close()

    async def _processes_gone(self, container: Container) -> None:
        self._core.at("withdrawn")
        self._core.unswept.add(container.id)
        await self._core.runtime.delete(container.id)
        self._core.unswept.discard(container.id)
        self._core.at("deleted")
