"""Frames with file descriptors over a unix stream socket, in both directions, pipelined.

A frame is its length (four bytes, network order), the number of its descriptors (one byte), and its bytes. Descriptors
travel with the frame's first byte (SCM_RIGHTS, unix(7)).
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence

from netloom.dataplane.loop import EventLoop

HEADER = struct.Struct("!IB")
MAX_FRAME = 64 << 20
MAX_FDS = 200  # in one frame; the kernel takes 253 (SCM_MAX_FD)
_CHUNK = 256 << 10
_ANCILLARY = socket.CMSG_SPACE(256 * 4)


class Channel:
    """One end of a connection. Owns the socket; used from the event loop only.

    `received` gets each frame with its descriptors, which become its own; `lost` is called once, when the other end
    has gone or has broken the rules, never after `close`.
    """

    def __init__(
        self,
        loop: EventLoop,
        sock: socket.socket,
        received: Callable[[bytes, list[int]], None],
        lost: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._received = received
        self._lost = lost
        self._loop = loop
        self._in = bytearray()
        self._fds: deque[int] = deque()
        self._out: deque[tuple[memoryview, Sequence[int]]] = deque()
        self.open = True
        self._loop.add_reader(sock, self._readable)

    def send(self, frame: bytes, fds: Sequence[int] = ()) -> None:
        """Queue a frame, which usually leaves at once. The descriptors stay the caller's, open until it has left.

        Silent when the connection has gone.
        """
        if not self.open:
            return
        self._out.append((memoryview(HEADER.pack(len(frame), len(fds)) + frame), fds))
        if len(self._out) == 1:
            self._flush()

    @property
    def flushed(self) -> bool:
        """Has everything queued left, or the connection gone?"""
        return not self._out

    def pause(self) -> None:
        """Take in nothing until `resume`; what was taken in already may still be reported."""
        if self.open:
            self._loop.remove_reader(self._sock)

    def resume(self) -> None:
        """The end of `pause`."""
        if self.open:
            self._loop.add_reader(self._sock, self._readable)

    def close(self) -> None:
        """Drop the connection. Twice is once."""
        if not self.open:
            return
        self.open = False
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        while self._fds:
            os.close(self._fds.popleft())
        self._out.clear()

    def peer_gone(self) -> bool:
        """Has the other end closed already, though we have not read so far?"""
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _fail(self) -> None:
        if self.open:
            self.close()
            self._lost()

    def _flush(self) -> None:
        try:
            while self._out:
                data, fds = self._out[0]
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
                sent = self._sock.sendmsg([data], rights, socket.MSG_NOSIGNAL)
                if sent < len(data):
                    self._out[0] = (data[sent:], ())
                else:
                    self._out.popleft()
        except BlockingIOError:
            self._loop.add_writer(self._sock, self._flush)
            return
        except OSError:
            self._loop.call_soon(self._fail)  # not from inside the caller's `send`
            return
        self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(_CHUNK, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            self._fail()
            return
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                self._fds.extend(fds)
        if not data or flags & socket.MSG_CTRUNC:
            self._fail()
            return
        self._in += data
        self._split()

    def _split(self) -> None:
        at = 0
        while self.open and len(self._in) - at >= HEADER.size:
            size, fds = HEADER.unpack_from(self._in, at)
            if size > MAX_FRAME or fds > MAX_FDS:
                self._fail()
                return
            if len(self._in) - at < HEADER.size + size:
                break
            if fds > len(self._fds):
                self._fail()
                return
            at += HEADER.size
            self._received(bytes(self._in[at : at + size]), [self._fds.popleft() for _ in range(fds)])
            at += size
        del self._in[:at]
