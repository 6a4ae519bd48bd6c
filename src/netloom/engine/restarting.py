"""Containers that wait for their next start by policy, and those that start with the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import msgspec

from netloom.containers.lifecycle import given_up
from netloom.containers.restart import starts_with_daemon
from netloom.engine.core import Core
from netloom.engine.ports import Alarm
from netloom.engine.starting import Starting
from netloom.engine.tables import container_row
from netloom.engine.waits import Waits
from netloom.model.container import Container
from netloom.model.errors import NetloomError


class Restarting:
    """One timer for each container that waits. A start takes its turn in the container's lane, like any other."""

    def __init__(self, core: Core, starting: Starting, waits: Waits) -> None:
        self._core = core
        self._starting = starting
        self._waits = waits
        self._alarms: dict[str, Alarm] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def wait(self, container: Container) -> None:
        """Start it when it is due; in the past is at once."""
        key = container.id
        self._forget(key)
        delay = max(0, container.due - self._core.clock.now())
        self._alarms[key] = self._core.clock.after(min(delay, container.backoff), lambda: self._begin(key))

    async def give_up(self, key: str) -> bool:
        """Somebody stops it while it waits: it stays ended. False when it does not wait (any more)."""
        async with self._core.lanes.hold(key):
            container = self._core.tables.containers.get(key)
            if container is None or not container.state.restarting:
                return False
            await self.settle(container)
            return True

    async def settle(self, container: Container) -> Container:
        """It has ended for good. The lane is held by the caller."""
        core = self._core
        settled = msgspec.structs.replace(container, state=given_up(container.state), manually_stopped=True)
        await core.worker.run(intents=[container_row(settled)])
        self._forget(container.id)
        core.tables.put_container(settled)
        self._waits.exited(container.id, settled.state.exit_code)
        return settled

    def resume(self) -> None:
        """At the daemon's start: timers go on, and who starts with the daemon is started."""
        containers = list(self._core.tables.containers.values())
        for container in containers:
            if container.state.restarting:
                self.wait(container)
        due = [c for c in containers if c.state.status == "exited" and starts_with_daemon(c)]
        if due:
            self._task(self._with_daemon(due))

    async def close(self) -> None:
        """No more starts; one that is under way ends."""
        for key in list(self._alarms):
            self._forget(key)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _forget(self, key: str) -> None:
        alarm = self._alarms.pop(key, None)
        if alarm is not None:
            alarm.cancel()

    def _begin(self, key: str) -> None:
        self._alarms.pop(key, None)
        self._task(self._start(key, lambda container: container.state.restarting))

    def _task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _with_daemon(self, containers: list[Container]) -> None:
        """All at once; who lives in another's namespace comes after it."""
        shared = [c for c in containers if c.host_config.network_mode.startswith("container:")]
        for wave in ([c for c in containers if c not in shared], shared):
            await asyncio.gather(*(self._start(c.id, lambda now: now.state.status == "exited") for c in wave))

    async def _start(self, key: str, wanted: Callable[[Container], bool]) -> None:
        core = self._core
        async with core.lanes.hold(key):
            container = core.tables.containers.get(key)
            if container is None or not wanted(container):
                return  # somebody was faster
            if not container.state.restarting:
                container = msgspec.structs.replace(container, restart_count=0, backoff=0)
            try:
                await self._starting.start(container)
            except Exception as error:  # as with Docker it stays ended, and inspect says why
                failed = core.tables.containers[key]
                self._waits.exited(key, failed.state.exit_code, failed.state.error)
                if not isinstance(error, NetloomError):
                    core.complain(f"container {container.name} could not be started again", error)
