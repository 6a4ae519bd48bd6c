"""skopeo: manifests by `inspect`, blobs by its image proxy, and its failures in Docker's words.

The proxy (containers/skopeo, cmd/skopeo/proxy.go; protocol 0.2) answers JSON on a socket and hands out a pipe for each
blob; the pipe stays open until FinishPipe has answered. So that request is made before the pipe is read, and one proxy
carries one blob at a time.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import shutil
import socket
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from netloom.images.reference import HUB, Reference
from netloom.model.errors import Failed, InvalidArgument, NetloomError, NotFound, Unavailable, Unsupported

_ENVIRONMENT = (
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_DIR",
)
_ANSWER = 1 << 20
_LOOPBACK = re.compile(r"(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?")
_MANIFEST_LIMIT = 4 << 20  # bytes, as registries have it


class Credentials(Struct, frozen=True):
    """Of X-Registry-Auth."""

    username: str = ""
    password: str = ""
    auth: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


def read_credentials(header: str) -> Credentials:
    """The header: base64 for URLs of JSON. Empty, or `{}`, is nobody. Raises InvalidArgument, Unsupported."""
    if not header:
        return Credentials()
    try:
        padded = header + "=" * (-len(header) % 4)
        found = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=Credentials | None) or Credentials()
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidArgument(f"invalid X-Registry-Auth header: {error}") from error
    if found.registrytoken:
        raise Unsupported("registry tokens in X-Registry-Auth are not supported by netloom")
    return found


class Registry:
    """One registry, with one client's credentials. Nothing of them is on a command line or on a disk."""

    def __init__(self, domain: str, credentials: Credentials) -> None:
        self._path = program()
        self._secrets = msgspec.json.encode({"auths": _auths(domain, credentials)})
        self._tls = tls_option(domain)

    async def manifest(self, name: Reference) -> bytes:
        """The manifest or index of a tag or digest, as it is in the registry."""
        return await self._output("inspect", "--raw", _url(name), limit=_MANIFEST_LIMIT)

    async def tags(self, name: Reference) -> list[str]:
        """All tags of a repository."""
        text = await self._output("list-tags", f"docker://{name.repository}", limit=_MANIFEST_LIMIT)
        return [str(tag) for tag in msgspec.json.decode(text)["Tags"]]

    @contextlib.asynccontextmanager
    async def proxy(self, name: Reference) -> AsyncIterator[Proxy]:
        """A proxy with one image opened; it ends with the block."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with ours, self._authfile() as secrets:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(self._path, "experimental-image-proxy", "--sockfd", str(theirs.fileno()), self._tls),
                    *("--authfile", f"/proc/self/fd/{secrets}"),
                    stdin=DEVNULL,
                    stdout=DEVNULL,
                    stderr=DEVNULL,
                    pass_fds=(theirs.fileno(), secrets),
                    env=environment(),
                    start_new_session=True,
                )
            try:
                proxy = Proxy(ours)
                await proxy.call("Initialize")
                proxy.image = (await proxy.call("OpenImage", _url(name)))[0]
                yield proxy
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await asyncio.shield(process.wait())

    async def _output(self, *arguments: str, limit: int) -> bytes:
        with self._authfile() as secrets:
            process = await asyncio.create_subprocess_exec(
                *(self._path, arguments[0], self._tls, "--authfile", f"/proc/self/fd/{secrets}", *arguments[1:]),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                pass_fds=(secrets,),
                env=environment(),
                start_new_session=True,
            )
            try:
                output, complaint = await process.communicate()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await asyncio.shield(process.wait())
        if process.returncode:
            raise failure(fatal(complaint.decode(errors="replace")))
        if len(output) > limit:
            raise Failed("the registry's answer is too large")
        return output

    @contextlib.contextmanager
    def _authfile(self) -> Any:
        """An fd that holds the credentials in memory."""
        fd = os.memfd_create("auth.json", os.MFD_CLOEXEC)
        try:
            os.write(fd, self._secrets)
            yield fd
        finally:
            os.close(fd)


class Proxy:
    """One conversation, one request at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.image: Any = None

    async def blob(self, digest: str, size: int) -> Blob:
        """Begin to fetch; `size` must be the blob's. The pipe is the caller's to close."""
        _, pipe, number = await self._call("GetBlob", self.image, digest, size)
        if pipe < 0:
            raise Failed(f"no data of blob {digest}")
        await self._send("FinishPipe", number)
        return Blob(pipe, self)

    async def call(self, method: str, *arguments: object) -> tuple[Any, int]:
        """A request without a pipe: its value. Raises what `failure` makes of the answer."""
        value, pipe, _ = await self._call(method, *arguments)
        return value, pipe

    async def _call(self, method: str, *arguments: object) -> tuple[Any, int, int]:
        await self._send(method, *arguments)
        return await self.answer()

    async def _send(self, method: str, *arguments: object) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._connection, msgspec.json.encode({"method": method, "args": arguments}))

    async def answer(self) -> tuple[Any, int, int]:
        """The next answer: value, fd of a pipe or -1, the pipe's number."""
        data, fds = await self._receive()
        if not data:
            raise Failed("skopeo has ended unexpectedly")
        told = msgspec.json.decode(data)
        if not told["success"]:
            for fd in fds:
                os.close(fd)
            raise failure(told["error"])
        return told["value"], fds[0] if fds else -1, told["pipeid"]

    async def _receive(self) -> tuple[bytes, list[int]]:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._connection, _ANSWER, 1)
            except BlockingIOError:
                readable = asyncio.Event()
                loop.add_reader(self._connection, readable.set)
                try:
                    await readable.wait()
                finally:
                    loop.remove_reader(self._connection)
            else:
                return data, fds


class Blob:
    """A blob on its way."""

    def __init__(self, pipe: int, proxy: Proxy) -> None:
        self.pipe = pipe
        self._proxy = proxy

    def close(self) -> None:
        """Our end of the pipe. Twice is once."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1

    async def finished(self) -> None:
        """Once the pipe has been read to its end. Raises Failed when not all of it came."""
        await self._proxy.answer()


def program() -> str:
    """Its path. Raises Unavailable."""
    path = shutil.which("skopeo")
    if path is None:
        raise Unavailable("skopeo is not installed", remedy="install the package skopeo")
    return path


def is_loopback(domain: str) -> bool:
    """Whether a registry is this host's own, so that plain HTTP will do."""
    return _LOOPBACK.fullmatch(domain) is not None


def tls_option(domain: str) -> str:
    """Whether skopeo checks the registry's certificate."""
    return f"--tls-verify={'false' if is_loopback(domain) else 'true'}"


def failure(complaint: str) -> NetloomError:
    """What skopeo complained of, as Docker says it."""
    if "manifest unknown" in complaint or "name unknown" in complaint:
        return NotFound("manifest unknown: manifest unknown")
    if re.search(r"unauthorized|denied|authentication required|no basic auth", complaint):
        return NotFound("denied: requested access to the resource is denied")
    if match := re.search(r'(?:Get|Head) "?https?://.*', complaint):
        return Failed(match[0])
    return Failed(complaint)


def told_of(error: NetloomError, name: Reference) -> NetloomError:
    """A failure with the name of the image, where Docker tells it."""
    if "manifest unknown" in error.sentence:
        return NotFound(f"manifest for {name.familiar} not found: {error.sentence}")
    if error.sentence.startswith("denied: "):
        return NotFound(
            f"pull access denied for {name.familiar_name}, repository does not exist or may require 'docker login'"
            f": {error.sentence}"
        )
    return error


def fatal(text: str) -> str:
    """Its failure: the message of logrus's last fatal line, without the part that only says which command failed."""
    found = re.findall(r'msg="((?:[^"\\]|\\.)*)"', text)
    message = found[-1].replace('\\"', '"').replace("\\\\", "\\") if found else text.strip()
    return re.sub(r'^Error [a-z ]+"docker://[^"]*": ', "", message)


def _url(name: Reference) -> str:
    return f"docker://{name.repository}" + (f"@{name.digest}" if name.digest else f":{name.tag}")


def _auths(domain: str, credentials: Credentials) -> Mapping[str, Mapping[str, str]]:
    entry: dict[str, str] = {}
    if credentials.username or credentials.auth:
        plain = f"{credentials.username}:{credentials.password}".encode()
        entry["auth"] = credentials.auth or base64.b64encode(plain).decode()
    if credentials.identitytoken:
        entry["identitytoken"] = credentials.identitytoken
    return {"docker.io" if domain == HUB else domain: entry} if entry else {}


def environment() -> dict[str, str]:
    """For a call of skopeo. Nobody's own configuration but the machine's in /etc/containers."""
    return {**{name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}, "HOME": "/nonexistent"}
