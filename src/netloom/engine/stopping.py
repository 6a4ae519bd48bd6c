"""Signals, and waiting for the end that they bring about."""

from __future__ import annotations

import asyncio
import signal as signals
from collections import Counter

import msgspec

from netloom.engine.core import Core
from netloom.engine.ending import Ending
from netloom.engine.pausing import Pausing
from netloom.engine.restarting import Restarting
from netloom.engine.signal_numbers import signal_number
from netloom.engine.tables import container_row
from netloom.engine.waits import Waits
from netloom.model.container import Container
from netloom.model.errors import Failed

STOP_TIMEOUT = 10  # seconds, Docker's default
KILL_PATIENCE = 10  # seconds until SIGKILL must have worked


class Stopping:
    """Needs no lane: the end comes by its own road, and takes the lane itself."""

    def __init__(self, core: Core, ending: Ending, restarting: Restarting, waits: Waits, pausing: Pausing) -> None:
        self._core = core
        self._pausing = pausing
        self._ending = ending
        self._restarting = restarting
        self._waits = waits

    async def kill(self, container: Container, number: int) -> None:
        """Send a signal; after SIGKILL wait for the end. Raises Failed when that does not come.

        As with Docker any signal means that somebody wants it to end, unless it has a stop signal and this is another.
        """
        if container.state.restarting and await self._restarting.give_up(container.id):
            return
        own = container.config.stop_signal
        done = self._waits.begin(container, "next-exit")
        try:
            if number == signals.SIGKILL or not own or number == signal_number(own):
                await self._by_hand(container)
            await self._signal(container, number)
            if number == signals.SIGKILL:
                await self._ended(done)
        finally:
            done.cancel()

    async def stop(self, container: Container, timeout: int | None, signal: str) -> None:
        """Ask it to end, and kill it when it takes longer than `timeout` seconds (negative: as long as it likes)."""
        number = signal_number(signal or container.config.stop_signal or "TERM")
        if container.state.restarting and await self._restarting.give_up(container.id):
            self._core.publish_container("stop", self._core.tables.containers[container.id])
            return
        patience = timeout if timeout is not None else container.config.stop_timeout
        patience = STOP_TIMEOUT if patience is None else patience
        done = self._waits.begin(container, "next-exit")
        self._ending.stopping[container.id] += 1
        try:
            await self._by_hand(container)
            await self._signal(container, number)
            await asyncio.wait([done], timeout=None if patience < 0 else patience)
            if not done.done():
                await self._signal(container, signals.SIGKILL)
                await self._ended(done)
        finally:
            done.cancel()
            self._ending.stopping[container.id] -= 1
            self._ending.stopping += Counter()  # forgets those at zero

    async def _by_hand(self, container: Container) -> None:
        """No policy starts it again when it ends, not even that of a daemon that finds it ended."""
        core, key = self._core, container.id
        core.by_hand.add(key)
        if container.manually_stopped or container.host_config.restart_policy.name in ("", "no"):
            return  # its end writes it down, in time for a policy that it is given later
        async with core.lanes.hold(key):
            now = core.tables.containers.get(key)
            if now is not None and now.state.running:
                marked = msgspec.structs.replace(now, manually_stopped=True)
                await core.worker.run(intents=[container_row(marked)])
                core.tables.put_container(marked)

    async def _signal(self, container: Container, number: int) -> None:
        await self._core.runtime.kill(container.id, number)
        self._core.publish_container("kill", container, signal=str(number))
        await self._pausing.let_go(container.id, number)

    @staticmethod
    async def _ended(done: asyncio.Future[tuple[int, str]]) -> None:
        await asyncio.wait([done], timeout=KILL_PATIENCE)
        if not done.done():
            raise Failed("tried to kill container, but did not receive an exit event")
