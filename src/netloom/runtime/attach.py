"""A client's connection to the stdio that conmon holds."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import deque

from netloom.runtime.accepted import is_accepted
from netloom.runtime.inflow import Inflow
from netloom.runtime.spool import Piece

STDIN_PACKET = 32 << 10  # conmon reads into a buffer of this size: what is beyond it would be cut off
ACCEPT_SECONDS = 1.0


def connect(folder: str) -> socket.socket:
    """Connect to the attach socket in a folder. Through the folder's fd: a socket's path has at most 108 bytes.

    Raises ConnectionRefusedError or FileNotFoundError when conmon has gone.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        fd = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{fd}/attach")
        finally:
            os.close(fd)
        connection.setblocking(False)
    except BaseException:
        connection.close()
        raise
    return connection


async def accepted(connection: socket.socket) -> None:
    """Wait until conmon has taken the connection, so that no output passes it by; not for ever, should conmon hang."""
    deadline = time.monotonic() + ACCEPT_SECONDS
    while not is_accepted(connection) and time.monotonic() < deadline:
        await asyncio.sleep(0.0005)


def resize(folder: str, height: int, width: int) -> None:
    """Tell the conmon of a folder its terminal's new size. Without conmon nothing happens."""
    try:
        control = os.open(f"{folder}/ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no such container any more, or (ENXIO) no conmon reads it
        return
    try:
        os.write(control, f"1 {height} {width}\n".encode())
    finally:
        os.close(control)


class ConmonAttachment:
    """`model.streams.Attachment` over conmon's socket. `folder`: where output goes that its client does not read."""

    def __init__(self, connection: socket.socket, *, tty: bool, folder: str) -> None:
        self.tty = tty
        self._connection = connection
        self._inflow = Inflow(connection, folder)
        self._rest: deque[Piece] = deque()
        self._writing = asyncio.Lock()
        self._stdin_open = True
        self._room: asyncio.Future[None] | None = None

    async def read(self) -> Piece | None:
        """The next piece of output; None when the process has ended, or after `close`."""
        if not self._rest:
            self._rest.extend(await self._inflow.read())
        return self._rest.popleft() if self._rest else None

    async def read_many(self) -> list[Piece]:
        """See Attachment."""
        if not self._rest:
            return await self._inflow.read()
        pieces = list(self._rest)
        self._rest.clear()
        return pieces

    async def write(self, data: bytes) -> None:
        """Send to stdin; waits while the process does not read."""
        async with self._writing:
            view = memoryview(data)
            while view and self._stdin_open:
                try:
                    self._connection.send(view[:STDIN_PACKET])
                except BlockingIOError:
                    await self._writable()
                except OSError:
                    self._stdin_open = False
                else:
                    view = view[STDIN_PACKET:]

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        self._room = room = loop.create_future()
        loop.add_writer(self._connection, _settle, room)
        try:
            await room
        finally:
            if self._connection.fileno() >= 0:
                loop.remove_writer(self._connection)
            self._room = None

    async def close_stdin(self) -> None:
        """Half-close, after what is still being written."""
        async with self._writing:
            self._half_close()

    def _half_close(self) -> None:
        if self._stdin_open:
            self._stdin_open = False
            try:
                self._connection.shutdown(socket.SHUT_WR)
            except OSError:  # the other end is closed already
                return

    async def close(self) -> None:
        """Drop the connection; a reader gets None, a writer returns."""
        self._stdin_open = False
        if self._connection.fileno() < 0:
            return
        self._inflow.close()
        if self._room is not None:
            asyncio.get_running_loop().remove_writer(self._connection)
            _settle(self._room)
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._connection.close()


def _settle(room: asyncio.Future[None]) -> None:
    if not room.done():
        room.set_result(None)
