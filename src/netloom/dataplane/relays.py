"""The data plane's side of the relay: its table, its port, and its process, started when first needed."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Collection, Sequence

import msgspec

from netloom.dataplane.channel import MAX_FDS, Channel
from netloom.dataplane.holding import Holding
from netloom.dataplane.loop import EventLoop
from netloom.dataplane.register import Key, Register, key
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
        self._rows: Register[Relay, None] = Register()
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
        return tuple(row for row, _ in self._rows)

    def put(self, relays: Sequence[Relay], done: Done) -> None:
        """Relay these too, all or none; same again is success. Calls `done` once, now or later."""
        try:
            fresh = self._check(relays)
            if not fresh:
                done(None)
                return
            if self._channel is None:
                self._start()
                self._send_all(self.rows)
            for row in fresh:
                self._rows.put(row, None)
            self._put_parts(_parts(fresh), self._undoing(fresh, done))
        except NetloomError as error:
            done(error)

    def _put_parts(self, parts: list[list[Relay]], done: Done) -> None:
        """One after another; what a failure leaves of those before it is dropped again."""
        if self._channel is None:
            done(Failed("the relay has ended"))
            return
        part = [row for row in parts[0] if self._rows.get(key(row)) == (row, None)]  # not released meanwhile

        def settled(error: NetloomError | None) -> None:
            if error is not None:
                done(error)
            elif len(parts) == 1:
                done(None)
            else:
                self._put_parts(parts[1:], undoing)

        def undoing(error: NetloomError | None) -> None:
            if error is not None and self._channel is not None:
                self._send((), (), lambda _: done(error), drop=part)  # told when their sockets are closed
            else:
                done(error)

        try:
            sockets = self._open_sockets(part)
        except NetloomError as error:
            done(error)
            return
        try:
            self._send(part, sockets, settled)
        finally:
            _close(sockets)

    def release(self, done: Done, *, owner: str = "", sandbox: str = "", only: Collection[Key] = ()) -> None:
        """Relay no more for an owner, or for a sandbox, or `only` some of its ports; connections that run go on.

        Calls `done` once, when the relay has closed its UDP sockets: until then nobody else can have their ports.
        """
        gone: list[Relay] = []
        for where in self._rows.of(owner=owner, sandbox=sandbox):
            if only:
                gone += self._rows.cut(where, only)
            elif (found := self._rows.pop(where)) is not None:
                gone.append(found[0])
        for row in gone:
            if row.proto == "udp":
                self._holding.silence(row.ip, row.port)
        if gone and self._channel is not None:
            self._send((), (), done, drop=gone)
        else:
            done(None)

    def adopt(self, rows: Sequence[Relay]) -> None:
        """Take over a predecessor's table; its relay ends with its last connection, ours starts."""
        for row in rows:
            self._rows.put(row, None)
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

    def _open_sockets(self, rows: Sequence[Relay]) -> list[socket.socket]:
        sockets: list[socket.socket] = []
        try:
            for row in rows:
                if row.proto == "udp":
                    sockets.append(self._holding.open_udp(row.ip, row.port))
        except Failed:
            _close(sockets)
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
        fresh: list[Relay] = []
        for row in relays:
            if row.proto not in ("tcp", "udp") or ":" not in row.ip:
                raise Unsupported(f"relaying {row.ip} port {row.port}/{row.proto} is not supported")
            for standing, _ in self._rows.over(row.proto, row.ip, row.port, row.width):
                if standing.owner != row.owner:
                    first = max(standing.port, row.port)
                    raise Failed(f"Bind for {row.ip}:{first} failed: port is already allocated")
            fresh += self._fresh(row)
        if fresh and self._listener is None:
            raise Unsupported("relaying needs IPv6, which this host does not have")
        return fresh

    def _fresh(self, row: Relay) -> list[Relay]:
        """What of it leads nowhere, or elsewhere, so far. A UDP port has a socket of its own: each is one by itself."""
        if row.proto == "udp":
            each = (row.part(port, 1) for port in range(row.port, row.port + row.width))
            return [one for one in each if self._rows.get(key(one)) != (one, None)]
        standing = self._rows.over(row.proto, row.ip, row.port, row.width)
        return self._rows.missing(row) if all(_way(there) == _way(row) for there, _ in standing) else [row]

    def _undoing(self, rows: Sequence[Relay], done: Done) -> Done:
        """`done`, after the rows have been taken back when it is a failure."""

        def settled(error: NetloomError | None) -> None:
            if error is not None:
                for row in rows:
                    if self._rows.get(key(row)) == (row, None):
                        self._rows.pop(key(row))
            done(error)

        return settled

    def _send(
        self, add: Sequence[Relay], sockets: Sequence[socket.socket], done: Done, *, drop: Sequence[Relay] = ()
    ) -> None:
        """Tell the relay; `sockets` are those of the UDP ports in `add`, and stay the caller's."""
        assert self._channel is not None
        self._seq += 1
        seq = self._seq
        self._waiting[seq] = done
        self._loop.call_later(_ANSWER, self._settle, seq, Failed("the relay does not answer"))
        copies = self._copies[seq] = [sock.dup() for sock in sockets]  # the channel may send later
        frame = msgspec.msgpack.encode(Update(seq, tuple(add), tuple(drop)))
        self._channel.send(frame, [sock.fileno() for sock in copies])

    def _send_all(self, rows: Sequence[Relay]) -> None:
        """Tell a fresh relay what it has to serve. Raises Failed when a UDP port cannot be had."""
        for part in _parts(rows):
            sockets = self._open_sockets(part)
            self._send(part, sockets, _log_failure)
            _close(sockets)

    def _settle(self, seq: int, error: NetloomError | None) -> None:
        _close(self._copies.pop(seq, ()))
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
        try:
            self._start()
            self._send_all(self.rows)
        except Failed as error:
            _log.error("the relay does not come back: %s", error)
            self._drop_process()
            self._loop.call_later(10 * _RESTART, self._restart)


def _parts(rows: Sequence[Relay]) -> list[list[Relay]]:
    """With at most so many UDP ports in each as a message carries descriptors; none is one empty part."""
    udp = [row for row in rows if row.proto == "udp"]
    parts = [udp[start : start + MAX_FDS] for start in range(0, len(udp), MAX_FDS)] or [[]]
    return [[row for row in rows if row.proto != "udp"] + parts[0], *parts[1:]]


def _way(row: Relay) -> tuple[str, int, str]:
    """What rows have in common of which one goes on where the other ends."""
    return row.target, row.target_port - row.port, row.sandbox


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


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
