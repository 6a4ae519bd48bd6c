"""Health checks: probes run as execs, in no lane, so that they hold up nobody."""

from __future__ import annotations

import asyncio

import msgspec

from netloom.containers import health as rules
from netloom.engine.core import Core
from netloom.engine.execs import Execs
from netloom.engine.ports import Alarm
from netloom.engine.tables import gone
from netloom.model.container import Container, ExecConfig
from netloom.model.errors import NetloomError
from netloom.model.health import Health, HealthConfig, HealthResult
from netloom.model.streams import Attachment

TABLE = "health"
AT_ONCE = 4  # probes that are being started: other starts need threads too
_encode = msgspec.json.Encoder().encode


class HealthChecks:
    """How each container with a health check fares, and when it is asked next.

    Kept beside the containers' rows: results come at any time, and a row is written by whoever holds the lane.
    """

    def __init__(self, core: Core, execs: Execs) -> None:
        self._core = core
        self._execs = execs
        self._health: dict[str, Health] = {}
        self._alarms: dict[str, Alarm] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._starts = asyncio.Semaphore(AT_ONCE)

    def shown(self, container: Container) -> Container:
        """With its health. Who is not asked (it is paused, or has ended) is not healthy, as with Docker."""
        health = self._health.get(container.id)
        if health is None:
            return container
        if container.state.status != "running":
            health = msgspec.structs.replace(health, status="unhealthy")
        return msgspec.structs.replace(container, state=msgspec.structs.replace(container.state, health=health))

    def begin(self, container: Container) -> None:
        """It was started."""
        self.end(container.id)
        if rules.probe(container.config) is not None:
            self._health[container.id] = rules.begun(self._health.get(container.id))
            self._await(container)

    def end(self, key: str) -> None:
        """It has ended; a probe that runs ends with it, and its result counts for nothing."""
        alarm = self._alarms.pop(key, None)
        if alarm is not None:
            alarm.cancel()

    def forget(self, key: str) -> None:
        """It is removed."""
        self.end(key)
        self._health.pop(key, None)

    async def resume(self) -> None:
        """At the daemon's start: what was known is known, and who runs is asked again."""
        core = self._core
        rows = await core.worker.call(lambda _, store: store.load(TABLE))
        decoder = msgspec.json.Decoder(Health)
        stale = [gone(TABLE, key) for key in rows if key not in core.tables.containers]
        self._health = {key: decoder.decode(row) for key, row in rows.items() if key in core.tables.containers}
        if stale:
            await core.worker.run(statuses=stale)
        for container in core.tables.containers.values():
            if container.state.running and rules.probe(container.config) is not None:
                self._health.setdefault(container.id, Health())
                self._await(container)

    async def close(self) -> None:
        """Ask nobody any more."""
        for key in list(self._alarms):
            self.end(key)
        tasks = list(self._probes.values())
        self._probes.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _await(self, container: Container) -> None:
        key, config = container.id, container.config.healthcheck or HealthConfig()
        now = self._core.clock.now()
        delay = rules.wait(config, self._health[key], now - container.state.started)
        self._alarms[key] = self._core.clock.after(delay, lambda: self._due(key))

    def _due(self, key: str) -> None:
        self._alarms.pop(key, None)
        container = self._core.tables.containers.get(key)
        if container is None or not container.state.running:
            return
        if container.state.paused:
            self._await(container)
            return
        if key in self._probes:  # of its former life, about to end
            self._await(container)
            return
        task = asyncio.get_running_loop().create_task(self._probe(container))
        self._probes[key] = task
        task.add_done_callback(lambda done: self._probed(key, done))

    def _probed(self, key: str, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        del self._probes[key]
        if (error := task.exception()) is not None:
            self._core.complain("a health check could not be run", error)
        container = self._core.tables.containers.get(key)
        if container is not None and container.state.running and key not in self._alarms and key in self._health:
            self._await(container)

    async def _probe(self, container: Container) -> None:
        core, config = self._core, container.config.healthcheck or HealthConfig()
        started = core.clock.now()
        try:
            code, said = await self._run(container, config)
        except NetloomError as error:
            code, said = -1, error.sentence
        now = core.tables.containers.get(container.id)
        if now is None or now.state.status != "running" or now.sandbox != container.sandbox:
            return  # frozen, or ended: that says nothing of its health
        result = HealthResult(start=started, end=core.clock.now(), exit_code=code, output=said)
        former = self._health[container.id]
        health = rules.after(former, result, config, container.state.started)
        self._health[container.id] = health
        if health.status != former.status:
            core.publish_container(f"health_status: {health.status}", now)
            await core.worker.run(statuses=[(TABLE, container.id, _encode(health))])

    async def _run(self, container: Container, config: HealthConfig) -> tuple[int, str]:
        """The probe's code and output; the time that its start takes does not count, as with Docker."""
        command = rules.probe(container.config) or ()
        wanted = ExecConfig(
            attach_stdout=True,
            attach_stderr=True,
            cmd=command,
            user=container.config.user,
            working_dir=container.config.working_dir,
        )
        async with self._starts:
            execution = await self._execs.create(container.id, wanted)
            attachment = await self._execs.start(execution.id, tty=False, size=None)
        output = bytearray()
        reading = asyncio.ensure_future(_read(attachment, output))
        timeout = config.timeout or rules.TIMEOUT
        slow = asyncio.Event()
        alarm = self._core.clock.after(timeout, slow.set)
        waiting = asyncio.ensure_future(slow.wait())
        try:
            await asyncio.wait((reading, waiting), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return execution.exit_code or 0, rules.output(bytes(output))
            await self._core.runtime.exec_kill(execution.id)
            return -1, rules.too_slow(timeout, rules.output(bytes(output)))
        except asyncio.CancelledError:
            await self._core.runtime.exec_kill(execution.id)
            raise
        finally:
            alarm.cancel()
            waiting.cancel()
            reading.cancel()
            await attachment.close()
            self._execs.discard(execution.id)


async def _read(attachment: Attachment, output: bytearray) -> None:
    """To the end, keeping no more than is shown and one byte that tells of more."""
    while (piece := await attachment.read()) is not None:
        output += piece[1][: rules.OUTPUT + 1 - len(output)]
