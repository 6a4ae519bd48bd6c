"""The data plane's side of the relay: its table, its port, and its process, started when first needed."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence

import msgspec

from netloom.dataplane.channel import Channel
from netloom.dataplane.holding import Holding
from netloom.dataplane.loop import EventLoop
from netloom.dataplane.relay_protocol import Update, Updated
from netloom.model.errors import Failed, NetloomError, Unsupported
from netloom.model.names import Relay

DEFAULT_PORT = 60053
_RESTART = 0.2  # seconds between the end of a relay and the next one
_ANSWER = 10.0  # seconds for a relay to start and to take an update

Done = Callable[[NetloomError | None], None]

_log = logging.getLogger(__name__)


class Relays:
    """All relayed ports. The listener is ours, so that its port stays when a relay's process ends."""

    def __init__(self, loop: EventLoop, holding: Holding, listener: socket.socket | None = None) -> None:
        self._loop = loop
        self._holding = holding
        self._rows: dict[tuple[str, str, int], Relay] = {}
        self._listener = listener or _listener()
        self._pid = 0
        self._pidfd = -1
        self._channel: Channel | None = None
        self._seq = 0
        self._copies: dict[int, list[socket.socket]] = {}
        self._waiting: dict[int, Done] = {}
        self._closed = False

    @property
    def port(self) -> int:
        """To which TCP connections must be redirected; 0: there is no IPv6 here, and nothing to relay."""
        return int(self._listener.getsockname()[1]) if self._listener else 0

    @property
    def rows(self) -> tuple[Relay, ...]:
        """What is relayed now."""
        return tuple(self._rows.values())

    def put(self, relays: Sequence[Relay], done: Done) -> None:
        """Relay these too, all or none; same again is success. Calls `done` once, now or later."""
        try:
            fresh = self._check(relays)
            if not fresh:
                done(None)
                return
            udp = tuple(row for row in fresh if row.proto == "udp")
            sockets = self._open_sockets(udp)
            try:
                if self._channel is None:
                    self._start()
                for row in fresh:
                    self._rows[_key(row)] = row
                self._send(udp, sockets, self._undoing(fresh, done))
            finally:
                for sock in sockets:
                    sock.close()
        except NetloomError as error:
            done(error)

    def release(self, which: Callable[[Relay], bool]) -> None:
        """Relay no more what is meant; connections that run go on."""
        gone = [row for row in self._rows.values() if which(row)]
        for row in gone:
            del self._rows[_key(row)]
        if gone and self._channel is not None:
            self._send((), (), _log_failure, drop_udp=tuple(row for row in gone if row.proto == "udp"))

    def adopt(self, rows: Sequence[Relay]) -> None:
        """Take over a predecessor's table; its relay ends with its last connection, ours starts."""
        self._rows = {_key(row): row for row in rows}
        if rows:
            self._restart()

    def close(self) -> None:
        """End the relay with its last connection; wait for nothing."""
        self._closed = True
        self._drop_process()
        if self._listener:
            self._listener.close()

    def surrender(self) -> socket.socket | None:
        """The listener, for a successor."""
        return self._listener

    def _of(self, proto: str) -> tuple[Relay, ...]:
        return tuple(row for row in self._rows.values() if row.proto == proto)

    def _open_sockets(self, rows: Sequence[Relay]) -> list[socket.socket]:
        sockets: list[socket.socket] = []
        try:
            for row in rows:
                if row.proto == "udp":
                    sockets.append(self._holding.open_udp(row.ip, row.port))
        except Failed:
            for sock in sockets:
                sock.close()
            raise
        return sockets

    def _start(self) -> None:
        assert self._listener is not None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        listener = self._listener.dup()
        argv = [sys.executable, "-m", "netloom.dataplane.relay"]
        argv += ["--control-fd", str(theirs.fileno()), "--listener-fd", str(listener.fileno())]
        try:
            theirs.set_inheritable(True)
            listener.set_inheritable(True)
            no_input = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
            self._pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=[no_input])
            self._pidfd = os.pidfd_open(self._pid)
        except OSError as error:
            ours.close()
            raise Failed(f"the relay cannot be started: {error}") from error
        finally:
            theirs.close()
            listener.close()
        self._loop.add_reader(self._pidfd, self._ended)
        self._channel = Channel(self._loop, ours, self._answered, lambda: None)  # its end is seen by the pidfd

    def _check(self, relays: Sequence[Relay]) -> list[Relay]:
        """Those that are new. Raises what is wrong with any."""
        fresh = []
        for row in relays:
            if row.proto not in ("tcp", "udp") or ":" not in row.ip:
                raise Unsupported(f"relaying {row.ip} port {row.port}/{row.proto} is not supported")
            standing = self._rows.get(_key(row))
            if standing is not None and standing.owner != row.owner:
                raise Failed(f"Bind for {row.ip}:{row.port} failed: port is already allocated")
            if standing != row:
                fresh.append(row)
        if fresh and self._listener is None:
            raise Unsupported("relaying needs IPv6, which this host does not have")
        return fresh

    def _undoing(self, rows: Sequence[Relay], done: Done) -> Done:
        """`done`, after the rows have been taken back when it is a failure."""

        def settled(error: NetloomError | None) -> None:
            if error is not None:
                for row in rows:
                    if self._rows.get(_key(row)) == row:
                        del self._rows[_key(row)]
            done(error)

        return settled

    def _send(
        self,
        add_udp: tuple[Relay, ...],
        sockets: Sequence[socket.socket],
        done: Done,
        *,
        drop_udp: tuple[Relay, ...] = (),
    ) -> None:
        assert self._channel is not None
        self._seq += 1
        seq = self._seq
        self._waiting[seq] = done
        self._loop.call_later(_ANSWER, self._settle, seq, Failed("the relay does not answer"))
        update = Update(seq, self._of("tcp"), add_udp, drop_udp)
        copies = [sock.dup() for sock in sockets]  # the channel may send later, when the caller's are closed
        self._channel.send(msgspec.msgpack.encode(update), [sock.fileno() for sock in copies])
        self._copies[seq] = copies

    def _settle(self, seq: int, error: NetloomError | None) -> None:
        for copy in self._copies.pop(seq, ()):
            copy.close()
        done = self._waiting.pop(seq, None)
        if done is not None:
            done(error)

    def _answered(self, frame: bytes, _: list[int]) -> None:
        self._settle(msgspec.msgpack.decode(frame, type=Updated).seq, None)

    def _ended(self) -> None:
        _log.warning("the relay has ended, its connections with it")
        self._drop_process()
        if self._rows and not self._closed:
            self._loop.call_later(_RESTART, self._restart)

    def _drop_process(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._pid:
            os.waitpid(self._pid, os.WNOHANG)  # when it goes on with its last connections, init reaps it after us
            self._pid = 0
        for seq in list(self._waiting):
            self._settle(seq, Failed("the relay has ended"))

    def _restart(self) -> None:
        if self._closed or self._channel is not None or not self._rows:
            return
        udp = self._of("udp")
        try:
            sockets = self._open_sockets(udp)
            self._start()
        except Failed as error:
            _log.error("the relay does not come back: %s", error)
            self._loop.call_later(10 * _RESTART, self._restart)
            return
        self._send(udp, sockets, _log_failure)
        for sock in sockets:
            sock.close()


def _key(row: Relay) -> tuple[str, str, int]:
    return (row.proto, row.ip, row.port)


def _log_failure(error: NetloomError | None) -> None:
    if error is not None:
        _log.error("%s", error)


def _listener() -> socket.socket | None:
    """Bound, not listening yet: to the well-known port, or to any that is free."""
    for port in (DEFAULT_PORT, 0):
        try:
            sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        except OSError:
            return None
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # an earlier relay's connections may remain
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(("::", port))
        except OSError:
            sock.close()
            continue
        return sock
    return None
