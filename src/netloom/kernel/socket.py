"""Netlink sockets: send, acknowledge, dump.

The kernel does a request's work inside `send` and queues its answers before that returns, so nothing here waits:
an answer that is not there when we look will never come.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

from netloom.model.errors import KernelError
from netloom.netlink import nft
from netloom.netlink.message import (
    DONE,
    DUMP_INTERRUPTED,
    ERROR,
    Message,
    Verdict,
    frame,
    replies,
    verdict,
)

ROUTE, SOCK_DIAG, NETFILTER = 0, 4, 12  # NETLINK_…
_SOL_NETLINK = 270
_CAP_ACK, _EXT_ACK, _STRICT = 10, 11, 12  # NETLINK_…: answers without the request, with text; dumps that filter
_SNDBUFFORCE, _RCVBUFFORCE = 32, 33  # SO_…
_BUFFER = 4 << 20  # a transaction of 500 elements that all fail fills 400 kB of skb
_READ = 65536  # above what the kernel puts into one datagram of a dump
MOST = 500  # messages of one send or transaction, well below the send buffer
_TRIES = 10  # dumps that changed under our eyes


class NetlinkSocket:
    """One protocol in the namespace in which it was opened. Used by one thread at a time."""

    def __init__(self, protocol: int, *, large: bool = True) -> None:
        """`large` False for a socket of a few messages: default buffers."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        if large:
            self._socket.setsockopt(_SOL_NETLINK, _STRICT, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, _SNDBUFFORCE, _BUFFER)
            self._socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER)
        self._sequence = 0
        self.sent = 0  # messages so far, for those who count

    def __enter__(self) -> NetlinkSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close. Twice is once."""
        self._socket.close()

    @property
    def socket(self) -> socket.socket:
        """The socket itself, for what can be asked of any."""
        return self._socket

    @property
    def port(self) -> int:
        """The port id that notifications of our own changes carry."""
        if self._socket.getsockname()[0] == 0:
            self._socket.bind((0, 0))
        port: int = self._socket.getsockname()[0]
        return port

    def request(self, messages: Sequence[Message]) -> dict[int, Verdict]:
        """Send them all; the failures by their place in `messages`. What follows a failed one was still tried."""
        failures: dict[int, Verdict] = {}
        for start in range(0, len(messages), MOST):
            part = messages[start : start + MOST]
            first = self._numbers(len(part))
            self._send(frame(part, first))
            failures.update({start + i: v for i, v in self._answers(first, first + len(part) - 1).items()})
        return failures

    def transaction(self, messages: Sequence[Message]) -> dict[int, Verdict]:
        """An nftables transaction: with any failure nothing of it stands. At most MOST messages.

        Raises KernelError when the kernel refuses the transaction itself (no nftables, no privilege).
        """
        begin = self._numbers(len(messages) + 2)
        self._send(nft.transaction(messages, begin))
        failures = self._answers(begin, begin + len(messages))
        whole = failures.pop(0, None)
        if whole is not None:
            raise KernelError(whole.errno, "nftables transaction", detail=whole.text)
        return {place - 1: failure for place, failure in failures.items()}

    def dump(self, message: Message, *, absent: bool = True) -> list[bytes]:
        """The bodies of a dump's messages, taken again while what is dumped changes meanwhile.

        None where what is to be dumped does not exist; without `absent` that too is a KernelError.
        """
        for _ in range(_TRIES):
            found, interrupted = self._dump(message, absent)
            if not interrupted:
                return found
        raise KernelError(errno.EINTR, "dump", detail=f"changed {_TRIES} times while it was read")

    def get(self, message: Message) -> bytes | None:
        """The body of the one answer; None for "no such object". Raises KernelError otherwise."""
        first = self._numbers(1)
        self._send(frame([message], first))
        body = None
        while True:
            for reply in replies(self._receive()):
                if reply.sequence != first:
                    continue
                if reply.type != ERROR:
                    body = reply.body
                    continue
                failure = verdict(reply)
                if failure.errno in (errno.ENOENT, errno.ENODEV):
                    return None
                if failure.errno:
                    raise KernelError(failure.errno, "get", detail=failure.text)
                return body

    def _dump(self, message: Message, absent: bool) -> tuple[list[bytes], bool]:
        first = self._numbers(1)
        self._send(frame([message], first))
        found: list[bytes] = []
        interrupted = False
        while True:
            for reply in replies(self._receive()):
                if reply.sequence != first:
                    continue  # the rest of an earlier answer that was given up
                interrupted |= bool(reply.flags & DUMP_INTERRUPTED)
                if reply.type not in (DONE, ERROR):
                    found.append(reply.body)
                    continue
                end = verdict(reply)
                if end.errno == errno.EINTR:
                    return found, True
                if end.errno == errno.ENOENT and absent:
                    return [], False  # the table or set that was to be dumped
                if end.errno:
                    raise KernelError(end.errno, "dump", detail=end.text)
                return found, interrupted

    def _answers(self, first: int, last: int) -> dict[int, Verdict]:
        """Failures by place, 0 being the message numbered `first`; until `last` or the first one itself answers."""
        failures: dict[int, Verdict] = {}
        while True:
            for reply in replies(self._receive()):
                if reply.type != ERROR or not first <= reply.sequence <= last:
                    continue
                found = verdict(reply)
                if found.errno:
                    failures.setdefault(reply.sequence - first, found)
                if reply.sequence == last:
                    return failures
                if found.errno and reply.sequence == first and self._idle():
                    return failures

    def _idle(self) -> bool:
        """Nothing more to read: a transaction whose very beginning was refused has no other answer."""
        try:
            self._socket.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        except BlockingIOError:
            return True
        return False

    def _numbers(self, count: int) -> int:
        self.sent += count
        first = self._sequence + 1
        if first + count >= 1 << 32:
            first = 1
        self._sequence = first + count - 1
        return first

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except OSError as error:
            raise KernelError(error.errno or errno.EIO, "netlink send") from error

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_READ, socket.MSG_DONTWAIT)
        except OSError as error:
            number = errno.EPROTO if isinstance(error, BlockingIOError) else error.errno or errno.EIO
            raise KernelError(number, "netlink answer", detail=os.strerror(error.errno or 0)) from error
