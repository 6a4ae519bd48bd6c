"""Output that comes from conmon, for one client: always read, whether the client reads or not.

conmon writes to its clients one after another, with calls that block: one that is not read from would stop the
program, its log and every other client. A client that is merely slow holds up the program as the reader of a pipe
does; what one that does not read at all leaves behind goes into a file.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque

from netloom.model.streams import STDERR, STDOUT
from netloom.runtime.spool import Piece, Spool

# conmon sends packets of at most 8192 bytes after one that names the stream.
PACKET = 8192
IN_MEMORY = 1 << 20  # bytes, as many as Docker keeps for a client
PATIENCE = 0.2  # seconds for which one that reads nothing holds up the program, before the file is used
IN_FILE = 256 << 20  # bytes; what is beyond holds up the program
GIVEN_UP = 30.0  # seconds of reading nothing, with all of that full, until the client is taken for dead
LOST = b"\nnetloom: nobody has read for too long: what follows was left out here (docker logs has it)\n"
_AT_ONCE = 64  # packets
_STREAMS = {2: STDOUT, 3: STDERR}  # conmon's numbers (its conn_sock.h)


class Inflow:
    """Reads a connection to conmon from the first `read` on. `close` comes before the connection's own."""

    def __init__(self, connection: socket.socket, folder: str) -> None:
        self._connection = connection
        self._spool = Spool(folder)
        self._memory: deque[Piece] = deque()  # newer than what is in the spool
        self._held = 0
        self._waiter: asyncio.Future[list[Piece]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._reading = False
        self._stalled = False  # the client has read nothing for a while
        self._ended = False
        self._last_read = 0.0

    async def read(self) -> list[Piece]:
        """All that is there, up to a batch; waits for the first piece; empty at the end."""
        self._stalled = False
        self._last_read = time.monotonic()
        self._cancel_timer()
        while True:
            if self._writing is not None:
                await asyncio.wait([self._writing])
            elif self._spool.size:
                return await asyncio.to_thread(self._spool.take)
            elif self._memory:
                pieces = list(self._memory)
                self._memory.clear()
                self._held = 0
                self._start()
                return pieces
            elif self._ended:
                return []
            else:
                self._start()
                self._waiter = asyncio.get_running_loop().create_future()
                return await self._waiter

    def close(self) -> None:
        """Read no more; a reader gets the end."""
        self._end()
        self._cancel_timer()
        self._memory.clear()
        self._held = 0
        self._spool.close()

    def _start(self) -> None:
        if not self._reading and not self._ended:
            self._reading = True
            asyncio.get_running_loop().add_reader(self._connection, self._readable)

    def _stop(self) -> None:
        if self._reading:
            self._reading = False
            asyncio.get_running_loop().remove_reader(self._connection)

    def _end(self) -> None:
        self._stop()
        self._ended = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result([])
        self._waiter = None

    def _readable(self) -> None:
        pieces, ended = self._receive()
        if pieces:
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(pieces)
                self._waiter = None
            else:
                self._keep(pieces)
        if ended:
            self._end()

    def _receive(self) -> tuple[list[Piece], bool]:
        """What is there, and whether it was the last."""
        pieces: list[Piece] = []
        receive = self._connection.recv
        try:
            for _ in range(_AT_ONCE):
                packet = receive(PACKET + 1)
                if not packet:
                    return pieces, True
                if len(packet) > 1:
                    pieces.append((_STREAMS.get(packet[0], STDOUT), packet[1:]))
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:  # conmon was killed
            return pieces, True
        return pieces, False

    def _keep(self, pieces: list[Piece]) -> None:
        self._memory.extend(pieces)
        self._held += sum(len(data) for _, data in pieces)
        if self._held < IN_MEMORY:
            return
        self._stop()
        if self._stalled:
            self._spill()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._spill)

    def _spill(self) -> None:
        """The client does not read: what is in memory goes into the file, and reading goes on."""
        self._timer = None
        self._stalled = True
        if self._ended or not self._memory:
            return
        if self._spool.size < IN_FILE:
            self._writing = asyncio.get_running_loop().create_task(self._write_out())
        elif time.monotonic() - self._last_read < GIVEN_UP:
            self._timer = asyncio.get_running_loop().call_later(1.0, self._spill)
        else:
            self._give_up()

    async def _write_out(self) -> None:
        pieces = list(self._memory)
        self._memory.clear()
        self._held = 0
        try:
            await asyncio.to_thread(self._spool.add, pieces)
        except OSError:  # the disk is full
            self._give_up()
        finally:
            self._writing = None
        if self._ended:
            return
        self._start()

    def _give_up(self) -> None:
        """Nothing more is kept: conmon loses this client, who is told when it reads again."""
        self._memory.append((STDERR, LOST))
        self._end()
        self._connection.shutdown(socket.SHUT_RD)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
