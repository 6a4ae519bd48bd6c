"""Execs: programs started inside running containers. They live in memory only, as Docker's do."""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from netloom.containers.spec import environment
from netloom.engine.core import Core
from netloom.engine.linking import linked_environment
from netloom.engine.streams import Accounted
from netloom.model.container import Container, Exec, ExecConfig
from netloom.model.errors import Conflict, Failed, InvalidArgument, NetloomError, NotFound
from netloom.model.streams import Attachment

REMEMBERED = 5 * 60 * 1_000_000_000  # ns for which an exec that has ended can be looked up, as with Docker
PATIENCE = 10.0  # seconds that a resize waits for the start
_UNKNOWN = 255


class Execs:
    """By id; an exec is forgotten with its container, or some time after its end."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._execs: dict[str, Exec] = {}
        self._begun: dict[str, asyncio.Event] = {}  # set once it runs or has failed to
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: deque[tuple[int, str]] = deque()  # when each ended, and which

    async def create(self, ref: str, config: ExecConfig) -> Exec:
        """Record one; the container must be running and know the user."""
        container = self._core.tables.container(ref)
        refuse_ended(container)
        _refuse_paused(container, ref)
        if not config.cmd:
            raise InvalidArgument("no exec command specified")
        if config.user:
            try:
                await self._core.runtime.check_user(container.id, config.user)
            except Failed as error:
                raise InvalidArgument(error.sentence) from error
        self._forget_old()
        execution = Exec(id=self._core.new_id(), container=container.id, config=config)
        self._execs[execution.id] = execution
        self._begun[execution.id] = asyncio.Event()
        command = " ".join(config.cmd)
        self._core.publish_container(f"exec_create: {command}", container, execID=execution.id)
        return execution

    def get(self, key: str) -> Exec:
        """Raises NotFound."""
        try:
            return self._execs[key]
        except KeyError:
            raise NotFound(f"No such exec instance: {key}") from None

    def ids_of(self, container: str) -> list[str]:
        """Those that run in a container now."""
        return [e.id for e in self._execs.values() if e.container == container and e.running]

    async def start(self, key: str, *, tty: bool, size: tuple[int, int] | None) -> Attachment:
        """Run it; its stdio."""
        execution = self.get(key)
        container = self._core.tables.container(execution.container)
        if execution.started:
            raise Conflict(f"exec command {key} has already run")
        refuse_ended(container)
        _refuse_paused(container, container.id)
        execution.started = execution.running = True
        begun = self._begun[key]
        config = msgspec.structs.replace(execution.config, group_add=container.host_config.group_add or ())
        if size is not None:  # there from the program's first look
            config = msgspec.structs.replace(config, console_size=size)
        command = " ".join(config.cmd)
        self._core.publish_container(f"exec_start: {command}", container, execID=key)
        env = [*environment(container, links=linked_environment(self._core.tables, container)), *(config.env or ())]
        try:
            execution.pid, attachment = await self._core.runtime.exec(container.id, key, config, env)
        except NetloomError as error:
            execution.running = False
            execution.exit_code = getattr(error, "exit_code", 126)
            self._died(execution)
            raise
        finally:
            begun.set()
        task = asyncio.get_running_loop().create_task(self._await(execution))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Accounted(attachment, task)

    async def resize(self, key: str, height: int, width: int) -> None:
        """Resize its terminal; one that is about to start is waited for, as Docker does."""
        self.get(key)
        try:
            await asyncio.wait_for(self._begun[key].wait(), PATIENCE)
        except TimeoutError:
            raise Failed("timeout waiting for exec session ready") from None
        await self._core.runtime.exec_resize(key, height, width)

    def forget(self, container: str) -> None:
        """The container is gone."""
        for key in [e.id for e in self._execs.values() if e.container == container]:
            del self._execs[key], self._begun[key]

    def discard(self, key: str) -> None:
        """Nobody will ask for this one: a container that lives for years may be asked every second for its health."""
        self._execs.pop(key, None)

    def _forget_old(self) -> None:
        while self._ended and self._core.clock.now() - self._ended[0][0] > REMEMBERED:
            key = self._ended.popleft()[1]
            self._execs.pop(key, None)
            self._begun.pop(key, None)

    async def _await(self, execution: Exec) -> None:
        try:
            execution.exit_code = await self._core.runtime.exec_wait(execution.id)
        except NetloomError as error:
            execution.exit_code = _UNKNOWN
            self._core.complain(f"the exit code of exec {execution.id} is not known", error)
        execution.running = False
        self._died(execution)

    def _died(self, execution: Exec) -> None:
        self._ended.append((self._core.clock.now(), execution.id))
        container = self._core.tables.containers.get(execution.container)
        if container is not None:
            code = str(execution.exit_code)
            self._core.publish_container("exec_die", container, execID=execution.id, exitCode=code)


def refuse_ended(container: Container) -> None:
    """Raise Conflict, in Docker's words, for a container without a program."""
    if container.state.restarting:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    if not container.state.running:
        raise Conflict(f"container {container.id} is not running")


def _refuse_paused(container: Container, ref: str) -> None:
    if container.state.paused:
        raise Conflict(f"Container {ref} is paused, unpause the container before exec")
