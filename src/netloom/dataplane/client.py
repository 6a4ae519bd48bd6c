"""A daemon's side of the data plane: finds the process or starts it, and brings it back when it has died.

Implements `engine.ports.DataPlane`. Requests are pipelined. What is under way when the process dies is sent again to
the next one, after `on_restart` has told it everything: all requests may be repeated.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

from netloom import __version__
from netloom.dataplane import protocol as p
from netloom.dataplane.channel import HEADER, Channel
from netloom.model import errors
from netloom.model.names import DataPlaneState, DnsSight, HeldPort, NameEntry, Relay, Resolver

LOG = "dataplane.log"
COMMAND = (sys.executable, "-m", "netloom.dataplane")
_GREETING = 5.0  # seconds for a running process to greet
_ANSWER = 15.0  # seconds for an answer, the process's return included
_START = 20.0  # seconds for a fresh process to be ready
_TAKEN = 3.0  # seconds to wait for an earlier daemon's connection to end
_ENDED = 5.0  # seconds for a process that was told to stop
_PAUSE = 0.5  # seconds between attempts to bring the process back

_log = logging.getLogger(__name__)


class _Pending:
    """A request under way, and the connection by which it was sent last."""

    __slots__ = ("channel", "fds", "frame", "reply")

    def __init__(self, frame: bytes, fds: tuple[int, ...], reply: asyncio.Future[p.Reply]) -> None:
        self.frame = frame
        self.fds = fds
        self.reply = reply
        self.channel: Channel | None = None

    def send(self, channel: Channel) -> None:
        """Send it, once for each connection."""
        if self.channel is not channel and not self.reply.done():
            self.channel = channel
            channel.send(self.frame, self.fds)


class DataPlaneClient:
    """Use `start` before anything else, and `close` to let go: the process stays.

    `on_restart` runs when a fresh process has taken the place of the one known before, and holds nothing: tell it
    everything, through this client. It is not called by `start`; compare `fresh` there.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        on_restart: Callable[[], Awaitable[None]] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._run_dir = run_dir
        self._on_restart = on_restart
        self._command = command
        self._channel: Channel | None = None
        self._seq = 0
        self._pending: dict[int, _Pending] = {}
        self._recovery: asyncio.Task[None] | None = None
        self._incarnation = ""  # of the process
        self._told = ""  # the incarnation that knows everything
        self._closed = False
        self._stopping = False
        self.pid = 0  # of the process
        self.fresh = False  # was the process started by the last connection?

    async def start(self) -> None:
        """Connect to the process that runs, or start one. Raises Unavailable."""
        await self._connect()
        self._told = self._incarnation

    async def close(self) -> None:
        """Let go of the process, which goes on. Twice is once."""
        self._closed = True
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.gather(self._recovery, return_exceptions=True)
        self._drop()
        self._fail_all(errors.Unavailable("the data plane's client is closed"))

    async def leave(self) -> None:
        """Let go of the process; one that holds nothing ends first. Never raises: it is for a daemon that ends."""
        try:
            if self._channel is not None and not await self._holds():
                await self._end()
        except (OSError, TimeoutError, errors.NetloomError) as error:
            _log.warning("the data plane goes on: %s", error)
        await self.close()

    async def replace(self) -> None:
        """Put a fresh process in the place of the one that runs; it takes everything over, no query is lost."""
        await self._spawn("--takeover")

    async def stop(self) -> None:
        """End the process and everything that it holds, then `close`."""
        self._stopping = True
        await self._ask(p.Stop(self._next()))
        await self.close()

    async def _holds(self) -> bool:
        state = await self.state()
        return bool(state.sandboxes or state.held or state.relays)

    async def _end(self) -> None:
        """End the process and wait: whoever starts next must not meet one that is on its way out."""
        pidfd = os.pidfd_open(self.pid)
        try:
            await self.stop()
            async with asyncio.timeout(_ENDED):
                await _readable(pidfd)
        finally:
            os.close(pidfd)

    async def open_sandbox(self, sandbox: str, netns: int, pid: int, resolver: Resolver) -> None:
        """See `engine.ports.DataPlane`, also for the others."""
        await self._ask(p.OpenSandbox(self._next(), sandbox, pid, resolver), (netns,))

    async def bind_sandbox(self, sandbox: str, pid: int) -> None:
        await self._ask(p.BindSandbox(self._next(), sandbox, pid))

    async def set_resolver(self, sandbox: str, resolver: Resolver) -> None:
        await self._ask(p.SetResolver(self._next(), sandbox, resolver))

    async def close_sandbox(self, sandbox: str) -> None:
        await self._ask(p.CloseSandbox(self._next(), sandbox))

    async def put_names(self, entry: NameEntry) -> None:
        await self._ask(p.PutNames(self._next(), entry))

    async def drop_names(self, endpoint: str) -> None:
        await self._ask(p.DropNames(self._next(), endpoint))

    async def hold(self, ports: Sequence[HeldPort]) -> None:
        if ports:
            await self._ask(p.Hold(self._next(), tuple(ports)))

    async def relay(self, relays: Sequence[Relay]) -> None:
        if relays:
            await self._ask(p.RelayPorts(self._next(), tuple(relays)))

    async def release(self, owner: str, only: Collection[tuple[str, str, int]] = ()) -> None:
        await self._ask(p.Release(self._next(), owner, tuple(only)))

    async def state(self) -> DataPlaneState:
        reply = await self._ask(p.GetState(self._next()))
        assert isinstance(reply, p.StateIs)
        return reply.state

    async def sight(self, network: str, after: int | None = None) -> DnsSight:
        reply = await self._ask(p.GetSight(self._next(), network, after))
        assert isinstance(reply, p.SightIs)
        return reply.sight

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    async def _ask(self, request: p.Request, fds: tuple[int, ...] = ()) -> p.Reply:
        if self._closed:
            raise errors.Unavailable("the data plane's client is closed")
        reply: asyncio.Future[p.Reply] = asyncio.get_running_loop().create_future()
        pending = self._pending[request.seq] = _Pending(p.encode(request), fds, reply)
        if self._channel is not None:
            pending.send(self._channel)
        try:
            async with asyncio.timeout(_ANSWER):
                answer = await reply
        except TimeoutError:
            raise errors.Unavailable(f"the data plane does not answer: see {self._run_dir / LOG}") from None
        finally:
            self._pending.pop(request.seq, None)
        if isinstance(answer, p.Refused):
            raise _error(answer)
        return answer

    def _received(self, frame: bytes, _: list[int]) -> None:
        reply = p.decode_to_daemon(frame)
        if isinstance(reply, p.Welcome):
            return
        pending = self._pending.get(reply.seq)
        if pending is not None and not pending.reply.done():
            pending.reply.set_result(reply)

    def _lost(self) -> None:
        self._channel = None
        if self._closed or self._stopping:
            self._fail_all(errors.Unavailable("the data plane has ended"))
            return
        _log.warning("the data plane (process %d) has gone", self.pid)
        if self._recovery is not None:
            self._recovery.cancel()  # it was telling a process that has died meanwhile
        self._recovery = asyncio.get_running_loop().create_task(self._recover())

    async def _recover(self) -> None:
        """Bring it back, tell it everything, and send again what was under way."""
        while True:
            try:
                await self._connect()
                break
            except (OSError, errors.NetloomError) as error:
                _log.error("the data plane does not come back: %s", error)
                await asyncio.sleep(_PAUSE)
        if self._incarnation != self._told and self._on_restart is not None:
            try:
                await self._on_restart()
            except Exception:  # what it did tell stands; names matter more than the part that failed
                _log.exception("not all that the data plane held was restored")
        self._told = self._incarnation
        self._recovery = None
        for pending in list(self._pending.values()):
            if self._channel is not None:
                pending.send(self._channel)

    async def _connect(self) -> None:
        deadline = time.monotonic() + _TAKEN
        while True:
            try:
                sock, welcome = await self._greet()
                self.fresh = False
            except (FileNotFoundError, ConnectionError, TimeoutError):
                await self._spawn()
                sock, welcome = await self._greet()
                self.fresh = True
            if (welcome.version, welcome.program) != (p.VERSION, __version__):
                sock.close()
                _log.info("the data plane is of netloom %s, we of %s: replaced", welcome.program or "?", __version__)
                await self._spawn("--takeover")
                sock, welcome = await self._greet()
            refused = await self._introduce(sock)
            if refused is None:
                break
            sock.close()
            if time.monotonic() > deadline:
                raise errors.Unavailable(refused)
            await asyncio.sleep(0.05)
        self._incarnation = welcome.incarnation
        self.pid = welcome.pid
        self._channel = Channel(asyncio.get_running_loop(), sock, self._received, self._lost)

    async def _greet(self) -> tuple[socket.socket, p.Welcome]:
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            async with asyncio.timeout(_GREETING):
                await loop.sock_connect(sock, str(self._run_dir / p.SOCKET))
                welcome = p.decode_to_daemon(await _frame(sock))
        except BaseException:
            sock.close()
            raise
        assert isinstance(welcome, p.Welcome)
        return sock, welcome

    async def _introduce(self, sock: socket.socket) -> str | None:
        """Say who we are; the sentence of a refusal."""
        hello = p.encode(p.Hello(p.VERSION, "daemon"))
        try:
            async with asyncio.timeout(_GREETING):
                await asyncio.get_running_loop().sock_sendall(sock, HEADER.pack(len(hello), 0) + hello)
                reply = p.decode_to_daemon(await _frame(sock))
        except (OSError, TimeoutError) as error:
            return f"the data plane does not answer: {error}"
        return reply.sentence if isinstance(reply, p.Refused) else None

    async def _spawn(self, *options: str) -> None:
        """Start the process, in a session of its own, and wait until it is ready. One that runs already is success."""
        self._run_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        ready, theirs = os.pipe()
        try:
            _launch([*self._command, "--run-dir", str(self._run_dir), *options], self._run_dir / LOG, theirs)
            os.close(theirs)
            theirs = -1
            os.set_blocking(ready, False)
            async with asyncio.timeout(_START):
                await _readable(ready)
            # End of file without a byte: it has ended, perhaps because another one has the run directory.
            if not os.read(ready, 1):
                _log.info("the data plane that was started has ended: see %s", self._run_dir / LOG)
        except TimeoutError as error:
            raise errors.Unavailable(f"the data plane does not start: see {self._run_dir / LOG}") from error
        finally:
            os.close(ready)
            if theirs >= 0:
                os.close(theirs)

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _fail_all(self, error: errors.NetloomError) -> None:
        for pending in self._pending.values():
            if not pending.reply.done():
                pending.reply.set_exception(error)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _launch(command: list[str], log: Path, ready: int) -> None:
    """Start the process in a session of its own, with nothing of ours open but the log and the pipe."""
    with open(log, "ab", opener=_private) as output:
        child = subprocess.Popen(
            [*command, "--ready-fd", str(ready)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(ready,),
            start_new_session=True,
            cwd="/",
        )
    # Ours to reap only as long as we live; a thread that waits costs nothing.
    threading.Thread(target=child.wait, name="dataplane", daemon=True).start()


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_reader(fd, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(fd)


async def _frame(sock: socket.socket) -> bytes:
    """One frame, not a byte more. Raises ConnectionError at the end of the stream."""
    size, _ = HEADER.unpack(await _exactly(sock, HEADER.size))
    return await _exactly(sock, size)


async def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await asyncio.get_running_loop().sock_recv(sock, size - len(data))
        if not more:
            raise ConnectionError("the data plane has closed the connection")
        data += more
    return data


def _error(refused: p.Refused) -> errors.NetloomError:
    kind = getattr(errors, refused.kind, errors.Failed)
    if not (isinstance(kind, type) and issubclass(kind, errors.NetloomError)) or kind is errors.KernelError:
        kind = errors.Failed
    return kind(refused.sentence, remedy=refused.remedy)
