"""A client's connection to the stdio that conmon holds."""

from __future__ import annotations

import asyncio
import os
import socket
import time

from netloom.model.streams import STDERR, STDOUT
from netloom.runtime.accepted import is_accepted

# conmon sends packets of at most 8192 bytes after one that names the stream, and reads into 32 KiB: what is beyond
# the buffer of a packet would be cut off.
PACKET = 8192
ACCEPT_SECONDS = 1.0
_STREAMS = {2: STDOUT, 3: STDERR}  # conmon's numbers (its conn_sock.h)


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
    """`model.streams.Attachment` over conmon's socket."""

    def __init__(self, connection: socket.socket, *, tty: bool) -> None:
        self.tty = tty
        self._connection = connection
        self._writing = asyncio.Lock()
        self._stdin_open = True

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output; None when the process has ended, or after `close`."""
        loop = asyncio.get_running_loop()
        while self._connection.fileno() >= 0:
            try:
                packet = await loop.sock_recv(self._connection, PACKET + 1)
            except OSError:  # conmon was killed, or we closed meanwhile
                return None
            if not packet:
                return None
            if len(packet) > 1:
                return _STREAMS.get(packet[0], STDOUT), packet[1:]
        return None

    async def write(self, data: bytes) -> None:
        """Send to stdin; waits while the process does not read."""
        loop = asyncio.get_running_loop()
        async with self._writing:
            for start in range(0, len(data), PACKET):
                if not self._stdin_open:
                    return
                try:
                    await loop.sock_sendall(self._connection, data[start : start + PACKET])
                except OSError:
                    self._stdin_open = False

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
        """Drop the connection; a reader gets None."""
        self._stdin_open = False
        if self._connection.fileno() >= 0:
            try:
                self._connection.shutdown(socket.SHUT_RDWR)  # wakes a reader, which a bare close would not
            except OSError:
                pass
            await asyncio.sleep(0)
            self._connection.close()
