"""An upgrade: every socket goes to a successor (SCM_RIGHTS), and no query is lost.

The predecessor stops taking in queries, which wait in the sockets; hands over; finishes what is under way; ends. If
the successor fails before it serves, the predecessor serves on. The relay's running connections stay with the old
relay, which ends with the last of them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from netloom.dataplane import protocol as p
from netloom.dataplane.channel import Channel
from netloom.dataplane.control import Control
from netloom.dataplane.loop import Loop
from netloom.dataplane.plane import Plane
from netloom.dataplane.sandbox_sockets import Packets
from netloom.dataplane.streams import Ends, StreamSockets
from netloom.model.errors import Failed
from netloom.model.names import Relay

_NAMES = 500  # entries in one frame
_TIMEOUT = 20.0  # seconds for the whole hand-over


class Giver:
    """The predecessor's side. `control` is set right after both have been made; `left` is called at the end."""

    control: Control

    def __init__(
        self, plane: Plane, listener: socket.socket, lock: int, incarnation: str, left: Callable[[], None]
    ) -> None:
        self._plane = plane
        self._listener = listener
        self._lock = lock
        self._incarnation = incarnation
        self._left = left
        self.given = False

    def begin(self, channel: Channel) -> None:
        """Stop serving and send everything."""
        plane = self._plane
        self.control.pause()
        plane.pause()
        relay = plane.relays.surrender()
        _send(channel, p.HandRelays(plane.relays.rows), [relay.fileno()] if relay else [])
        entries = tuple(plane.zones.entries.values())
        for start in range(0, len(entries), _NAMES):
            _send(channel, p.HandNames(entries[start : start + _NAMES]), [])
        if plane.streams.sockets is not None:
            _send(channel, p.HandStreams(), [sock.fileno() for sock in plane.streams.sockets])
        for known in plane.sandboxes.values():
            message, fds = known.sockets.handed(known.pid, known.resolver)
            _send(channel, message, fds if known.pidfd < 0 else [*fds, known.pidfd])
            if learnt := known.sockets.learning.standing:
                _send(channel, p.HandLearnt(known.sockets.sandbox, learnt), [])
        for port, sock, pending in plane.holding.held():
            _send(channel, p.HandPort(port, pending), [sock.fileno()] if sock else [])
        _send(channel, p.HandControl(self._incarnation), [self._listener.fileno(), self._lock])

    def taken(self) -> None:
        """The successor serves; nothing of ours is ours any more."""
        self.given = True
        for known in self._plane.sandboxes.values():
            known.sockets.learning.leave()
        self._left()

    def aborted(self) -> None:
        """Serve on."""
        if not self.given:
            self._plane.resume()
            self.control.resume()


class Inheritance:
    """The successor's side: what it was given."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._complete = False
        self._error: Exception | None = None
        self.plane: Plane | None = None
        self.listener: socket.socket | None = None
        self.lock = -1
        self.incarnation = ""
        self._relays: tuple[Relay, ...] = ()

    def take(self, path: Path) -> None:
        """Ask the process at the control socket for everything, and take it. Raises Failed or OSError."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        sock.connect(str(path))
        channel = Channel(self._loop, sock, self._received, self._lost)
        channel.send(p.encode(p.Hello(p.HANDOVER, "successor")))
        deadline = self._loop.time() + _TIMEOUT
        while not self._complete and self._error is None:
            if self._loop.time() > deadline:
                raise Failed("the data plane does not hand over")
            self._loop.step(_TIMEOUT)
        if self._error is not None:
            raise self._error
        channel.send(p.encode(p.Taken()))
        while not channel.flushed:
            self._loop.step(_TIMEOUT)
        channel.close()

    def _received(self, frame: bytes, fds: list[int]) -> None:
        try:
            self._complete = self._complete or self._given(frame, fds)
        except (Failed, OSError, msgspec.MsgspecError) as error:
            self._error = Failed(f"the hand-over failed: {error}")

    def _lost(self) -> None:
        self._error = Failed("the data plane ended while it handed over")

    def _given(self, frame: bytes, fds: list[int]) -> bool:
        """Take one message in; True for the last one."""
        match p.decode_to_successor(frame):
            case p.Welcome():
                return False
            case p.Refused(_, _, sentence):
                raise Failed(sentence)
            case p.HandRelays(relays):
                self.plane = Plane(self._loop, listener=socket.socket(fileno=fds[0]) if fds else None)
                self._relays = relays
            case p.HandNames(entries):
                for entry in entries:
                    self._plane.put_names(entry)
            case p.HandStreams():
                self._plane.streams.adopt(StreamSockets(*(socket.socket(fileno=fd) for fd in fds)))
            case p.HandSandbox(sandbox, pid, resolver):
                udp, tcp = (socket.socket(fileno=fd) for fd in fds[:2])
                self._plane.adopt_bound(sandbox, udp, tcp, resolver)
                self._adopt_process(sandbox, pid, fds[2:])
            case p.HandPackets(sandbox, pid, resolver, number, connected):
                many = 5 if connected else 3
                tap, raw, guard, *ends = (socket.socket(fileno=fd) for fd in fds[:many])
                packets = Packets(tap, raw, guard)
                self._plane.adopt_packets(sandbox, packets, number, Ends(*ends) if connected else None, resolver)
                self._adopt_process(sandbox, pid, fds[many:])
            case p.HandLearnt(sandbox, learnt):
                self._plane.adopt_learnt(sandbox, learnt)
            case p.HandPort(port, pending):
                self._plane.holding.adopt(port, socket.socket(fileno=fds[0]) if fds else None, pending=pending)
            case p.HandControl(incarnation):
                self.incarnation = incarnation
                self.listener, self.lock = socket.socket(fileno=fds[0]), fds[1]
                os.set_inheritable(self.lock, False)
                self._plane.relays.adopt(self._relays)
                return True
        return False

    def _adopt_process(self, sandbox: str, pid: int, fds: list[int]) -> None:
        """The last descriptor of a sandbox, if its process is known."""
        if fds:
            self._plane.adopt_process(sandbox, pid, fds[0])

    @property
    def _plane(self) -> Plane:
        if self.plane is None:
            raise Failed("the data plane hands over in a wrong order")
        return self.plane


def _send(channel: Channel, message: p.Handed, fds: list[int]) -> None:
    channel.send(p.encode(message), fds)
