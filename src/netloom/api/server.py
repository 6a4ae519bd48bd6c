"""The server: a unix socket (0660, group netloom where it exists) and, if asked, TCP with mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import logging
import os
import socket
import ssl
import stat
import time
from collections.abc import Callable
from pathlib import Path

from netloom.api import (
    archive,
    changing,
    containers,
    disk_usage,
    event_stream,
    execs,
    image_transfer,
    images,
    logs,
    network_dns,
    networks,
    policies,
    stats,
    streams,
    system,
    unserved,
    volumes,
    web,
)
from netloom.api.backend import Backend
from netloom.api.call import Call
from netloom.api.connection import Connection
from netloom.api.respond import Reply, Taken, error_reply
from netloom.api.routing import Routes
from netloom.api.tls_relay import TlsEnd
from netloom.model.errors import Conflict, InvalidArgument, NetloomError, NotFound

log = logging.getLogger(__name__)

GROUP = "netloom"
_BACKLOG = 1024
_LINGER = 1.0  # seconds that a body too large is still read and dropped, so that its sender sees our reply
_READ_AHEAD = 1 << 18  # bytes of a body that wait for their handler: `docker cp` of a large file
_GRACE = 5.0  # seconds that requests in progress get at a stop

ROUTES = Routes(
    (
        *system.ROUTES,
        *disk_usage.ROUTES,
        *event_stream.ROUTES,
        *images.ROUTES,
        *image_transfer.ROUTES,
        *networks.ROUTES,
        *volumes.ROUTES,
        *network_dns.ROUTES,
        *policies.ROUTES,
        *containers.ROUTES,
        *archive.ROUTES,
        *changing.ROUTES,
        *stats.ROUTES,
        *logs.ROUTES,
        *streams.ROUTES,
        *execs.ROUTES,
        *unserved.ROUTES,
    )
)


class _HttpServer(web.Server):
    """aiohttp's low-level server with our kind of connection."""

    def __call__(self) -> Connection:
        return Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)


class ApiServer:
    """Answers the Docker Engine API for one engine. `now` is the clock, ns since the epoch."""

    def __init__(self, backend: Backend, *, now: Callable[[], int] = time.time_ns) -> None:
        self._backend = backend
        self._now = now
        self._http: _HttpServer | None = None
        self._listeners: list[asyncio.Server] = []
        self._socket: Path | None = None
        self._inode = 0

    async def listen_unix(self, path: Path, *, group: str = GROUP) -> None:
        """Listen on a socket file. One that a dead daemon left is replaced; a live one raises Conflict."""
        await _clear_stale(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            old = os.umask(0o777)  # nobody may connect before mode and group are right
            try:
                sock.bind(str(path))
            finally:
                os.umask(old)
            _hand_to_group(path, group)
            path.chmod(0o660)
            loop = asyncio.get_running_loop()
            self._listeners.append(await loop.create_unix_server(self._server(), sock=sock, backlog=_BACKLOG))
        except BaseException:
            sock.close()
            raise
        self._socket = path
        self._inode = path.stat().st_ino

    async def listen_tcp(self, host: str, port: int, tls: ssl.SSLContext) -> int:
        """Listen on TCP; the port that was bound. The context must ask for the client's certificate."""
        if tls.verify_mode != ssl.CERT_REQUIRED:
            raise ValueError("the API listens on TCP only with mutual TLS: verify_mode must be CERT_REQUIRED")
        loop = asyncio.get_running_loop()
        http = self._server()

        async def accept(plain: socket.socket) -> None:
            await loop.connect_accepted_socket(http, plain)

        server = await loop.create_server(lambda: TlsEnd(tls, accept), host, port, backlog=_BACKLOG)
        self._listeners.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Accept nothing more, end the streams, let requests in progress finish. Twice is once."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        if self._socket is not None:
            with contextlib.suppress(FileNotFoundError):
                if self._socket.stat().st_ino == self._inode:  # not a successor's
                    self._socket.unlink()
            self._socket = None
        if self._http is not None:
            for connection in self._http.connections:
                assert isinstance(connection, Connection)
                connection.end_streams()
            await self._http.shutdown(_GRACE)
            self._http = None

    def _server(self) -> _HttpServer:
        if self._http is None:
            self._http = _HttpServer(
                self._handle,  # type: ignore[arg-type]
                access_log=None,
                tcp_keepalive=False,
                auto_decompress=False,
                lingering_time=_LINGER,
                read_bufsize=_READ_AHEAD,
            )
        return self._http

    async def _handle(self, request: web.BaseRequest) -> Reply | Taken | web.StreamResponse:
        try:
            if request.version < (1, 0):
                raise InvalidArgument("malformed request: HTTP/1.0 or later is needed")
            match = ROUTES.find(request.method, request.raw_path.partition("?")[0])
            if match.handler is None:
                return _no_route(request.method)
            reply: Reply | Taken | web.StreamResponse = await match.handler(
                Call(request, match, self._backend, self._now)
            )
            return reply
        except NetloomError as error:
            return error_reply(error)
        except ConnectionError:
            raise
        except Exception as error:
            return error_reply(error)


def _no_route(method: str) -> Reply:
    return Reply() if method == "OPTIONS" else error_reply(NotFound("page not found"))


async def _clear_stale(path: Path) -> None:
    """Remove the socket file of a dead daemon; Conflict when a live one listens, or when it is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Conflict(f"{path} exists and is not a socket", remedy="remove it or choose another --socket")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with probe:
        try:
            await asyncio.get_running_loop().sock_connect(probe, str(path))
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                raise Conflict(f"cannot tell whether a daemon listens on {path}: {error.strerror}") from error
        else:
            raise Conflict(f"a daemon listens on {path} already", remedy="stop it or choose another --socket")
    path.unlink(missing_ok=True)


def _hand_to_group(path: Path, group: str) -> None:
    """Give the socket to the group, where there is one and we may."""
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        return
    try:
        os.chown(path, -1, gid)
    except PermissionError:
        log.warning("cannot give the socket to the group", extra={"path": str(path), "group": group})
