"""The control socket: one daemon at a time, its requests, and the hand-over to a successor."""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from netloom import __version__
from netloom.dataplane import protocol as p
from netloom.dataplane.channel import Channel
from netloom.dataplane.loop import EventLoop
from netloom.dataplane.plane import Plane
from netloom.model.errors import Failed, InvalidArgument, NetloomError

_UCRED = struct.Struct("=iII")  # pid, uid, gid

_log = logging.getLogger(__name__)


def listen(path: Path) -> socket.socket:
    """The control socket at this path, which is ours to replace; only our own user may connect."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.unlink(missing_ok=True)
        sock.bind(str(fresh))
        fresh.chmod(0o600)
        sock.listen(16)
        fresh.rename(path)  # whoever finds the path can connect
    except BaseException:
        sock.close()
        fresh.unlink(missing_ok=True)
        raise
    return sock


class Succession(Protocol):
    """What happens when a successor asks for everything."""

    def begin(self, channel: Channel) -> None:
        """Stop serving and send it all."""
        ...

    def taken(self) -> None:
        """The successor serves."""
        ...

    def aborted(self) -> None:
        """It has gone before it served: serve on."""
        ...


class Control:
    """Accepts on `listener`, which stays the caller's."""

    def __init__(
        self,
        loop: EventLoop,
        plane: Plane,
        listener: socket.socket,
        incarnation: str,
        *,
        stop: Callable[[], None],
        succession: Succession,
    ) -> None:
        self._plane = plane
        self._listener = listener
        self._incarnation = incarnation
        self._stop = stop
        self._succession = succession
        self._successor: _Session | None = None
        self._daemon: _Session | None = None
        self._sessions: set[_Session] = set()
        self.loop = loop
        self.resume()

    @property
    def served(self) -> bool:
        """Is a daemon connected?"""
        return self._daemon is not None

    def pause(self) -> None:
        """Take in no connection, and no request but a successor's, until `resume`."""
        self.loop.remove_reader(self._listener)
        for session in self._sessions:
            if session is not self._successor:
                session.channel.pause()

    def resume(self) -> None:
        """The end of `pause`."""
        self.loop.add_reader(self._listener, self._accept)
        for session in self._sessions:
            session.channel.resume()

    def close(self) -> None:
        """Accept nobody any more and drop who is there. The listener stays open."""
        self.loop.remove_reader(self._listener)
        for session in list(self._sessions):
            session.channel.close()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # the other side has gone already, or descriptors have run out
            return
        _, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        if uid not in (0, os.getuid()):
            _log.warning("a control connection of user %d is refused", uid)
            sock.close()
            return
        session = _Session(self, sock)
        self._sessions.add(session)
        session.channel.send(p.encode(p.Welcome(p.VERSION, os.getpid(), self._incarnation, __version__)))

    def hello(self, session: _Session, hello: p.Hello) -> None:
        """Who it is that has connected."""
        ours = p.HANDOVER if hello.role == "successor" else p.VERSION
        if hello.version != ours:
            self.dismiss(session, InvalidArgument(f"the data plane speaks version {ours}, not {hello.version}"))
        elif hello.role == "successor" and self._successor is None:
            self._successor = session
            self._succession.begin(session.channel)
        elif hello.role != "daemon":
            self.dismiss(session, InvalidArgument(f"nobody is let in as {hello.role!r} now"))
        elif self._daemon is not None and not self._daemon.channel.peer_gone():
            self.dismiss(session, Failed("another daemon is connected to this data plane"))
        else:
            self._daemon = session
            session.ready = True
            session.channel.send(p.encode(p.Done(0)))

    def dismiss(self, session: _Session, why: NetloomError) -> None:
        """Tell it why, and close."""
        session.refuse(0, why)
        self.forget(session)
        session.channel.close()

    def forget(self, session: _Session) -> None:
        """The session has ended, or is somebody else's from now on."""
        self._sessions.discard(session)
        if self._daemon is session:
            self._daemon = None
        if self._successor is session:
            self._successor = None
            self._succession.aborted()

    def taken(self, session: _Session) -> None:
        """The successor has everything."""
        if self._successor is session:
            self._successor = None
            self._succession.taken()

    def obey(self, session: _Session, request: p.Request, fds: list[int]) -> None:
        """Carry out one request and answer it."""
        plane = self._plane
        try:
            match request:
                case p.PutNames(_, entry):
                    plane.put_names(entry)
                case p.DropNames(_, endpoint):
                    plane.drop_names(endpoint)
                case p.OpenSandbox(_, sandbox, pid, resolver):
                    plane.open_sandbox(sandbox, fds[0], pid, resolver)
                case p.BindSandbox(_, sandbox, pid):
                    plane.bind_sandbox(sandbox, pid)
                case p.SetResolver(_, sandbox, resolver):
                    plane.set_resolver(sandbox, resolver)
                case p.CloseSandbox(seq, sandbox):
                    plane.close_sandbox(sandbox, lambda error: session.answer(seq, error))
                    return
                case p.Hold(_, ports):
                    plane.hold(ports)
                case p.Release(seq, owner, ports=only):
                    plane.release(owner, only, lambda error: session.answer(seq, error))
                    return
                case p.GetState(seq):
                    session.channel.send(p.encode(p.StateIs(seq, plane.state())))
                    return
                case p.GetSight(seq, network, after):
                    session.channel.send(p.encode(p.SightIs(seq, plane.sight(network, after))))
                    return
                case p.RelayPorts(seq, relays):
                    plane.relay(relays, lambda error: session.answer(seq, error))
                    return
                case p.Stop():
                    self._stop()
        except NetloomError as error:
            session.refuse(request.seq, error)
        except Exception as error:  # a defect of ours must reach the one who asked, and end nobody's names
            _log.exception("request %r failed", request)
            session.refuse(request.seq, Failed(f"the data plane failed: {type(error).__name__}: {error}"))
        else:
            session.channel.send(p.encode(p.Done(request.seq)))


class _Session:
    """One connection."""

    def __init__(self, owner: Control, sock: socket.socket) -> None:
        self._owner = owner
        self.ready = False
        self.channel = Channel(owner.loop, sock, self._received, lambda: owner.forget(self))

    def refuse(self, seq: int, error: NetloomError) -> None:
        """Answer with an error."""
        self.channel.send(p.encode(p.Refused(seq, type(error).__name__, error.sentence, error.remedy)))

    def answer(self, seq: int, error: NetloomError | None) -> None:
        """Done, or why not."""
        if error is None:
            self.channel.send(p.encode(p.Done(seq)))
        else:
            self.refuse(seq, error)

    def _received(self, frame: bytes, fds: list[int]) -> None:
        try:
            message = p.decode_to_plane(frame)
            if isinstance(message, p.Hello):
                self._owner.hello(self, message)
            elif isinstance(message, p.Taken):
                self._owner.taken(self)
            elif not self.ready or len(fds) != (1 if isinstance(message, p.OpenSandbox) else 0):
                self._broken("a request that breaks the protocol")
            else:
                self._owner.obey(self, message, fds)
        except msgspec.MsgspecError as error:
            self._broken(str(error))
        finally:
            for fd in fds:
                os.close(fd)

    def _broken(self, why: str) -> None:
        _log.warning("a control connection is dropped: %s", why)
        self._owner.forget(self)
        self.channel.close()
