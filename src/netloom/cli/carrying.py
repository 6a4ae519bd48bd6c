"""Carries bytes between this process and a hijacked connection."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from netloom.cli.connection import Connection
from netloom.cli.detach import DetachKeys
from netloom.cli.frames import STDERR, Frames

_PIECE = 1 << 16
_STDIN, _STDOUT, _STDERR_FD = 0, 1, 2


class Carrier:
    """One session. `run` returns True when the detach keys ended it, False when the other side did."""

    def __init__(
        self,
        connection: Connection,
        early: bytes,
        *,
        tty: bool,
        stdin: bool,
        keys: bytes,
        on_signal: Callable[[int], None],
        signals: frozenset[int],
    ) -> None:
        self._connection = connection
        self._early = early
        self._tty = tty
        self._stdin = stdin
        self._keys = DetachKeys(keys)
        self._on_signal = on_signal
        self._signals = signals
        self._frames = Frames()

    def run(self) -> bool:
        """Until the output ends."""
        with _caught(self._signals) as caught:
            self._output(self._early)
            return self._loop(caught)

    def _loop(self, caught: int) -> bool:
        connection = self._connection.fileno()
        while True:
            # what the program has not taken yet is carried before more is read for it
            inputs = [_STDIN] if self._stdin and not self._connection.pending else []
            outputs = [connection] if self._connection.pending else []
            ready, writable, _ = select.select([connection, caught, *inputs], outputs, [])
            if caught in ready:
                for number in os.read(caught, 64):
                    self._on_signal(number)
            if writable:
                self._connection.flush()
            if connection in ready:
                data = self._received()
                if not data:
                    return False
                self._output(data)
            if _STDIN in ready and self._input():
                return True

    def _received(self) -> bytes:
        try:
            return self._connection.recv(_PIECE)
        except ConnectionResetError:
            return b""

    def _input(self) -> bool:
        """Take what was typed; True for the detach keys."""
        data = os.read(_STDIN, _PIECE)
        if not data:
            self._stdin = False
            self._connection.finish()
            return False
        detached = False
        if self._tty:
            data, detached = self._keys.feed(data)
        self._connection.offer(data)
        return detached

    def _output(self, data: bytes) -> None:
        if self._tty:
            _write_all(_STDOUT, data)
            return
        for stream, piece in self._frames.feed(data):
            _write_all(_STDERR_FD if stream == STDERR else _STDOUT, piece)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


class _caught:
    """While it lasts, signals of this process are numbers in a pipe."""

    def __init__(self, signals: frozenset[int]) -> None:
        self._signals = signals

    def __enter__(self) -> int:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[int, Any] = {number: signal.signal(number, self._note) for number in self._signals}
        return self._read

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, bytes([number]))
