"""`docker login`: whether a registry takes somebody's name and password, tried by `skopeo login`."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from asyncio.subprocess import DEVNULL, PIPE

from netloom.images import skopeo
from netloom.images.reference import HUB, is_domain
from netloom.images.skopeo import Credentials
from netloom.model.errors import Failed, InvalidArgument, NetloomError, Unsupported

_MEMORY = "/dev/shm"  # skopeo writes down what it was told, and this is the one place that is on no disk
_HUB_NAMES = ("", HUB, "index.docker.io", "registry-1.docker.io")


async def log_in(address: str, credentials: Credentials) -> None:
    """Raises Failed as the registry refuses, InvalidArgument for an address that is none, Unsupported for a token."""
    host = registry_host(address)
    where = f"{'http' if skopeo.is_loopback(host) else 'https'}://{host}/v2/"
    if credentials.identitytoken or credentials.registrytoken:
        raise Unsupported("logging in with a token is not supported by netloom", remedy="give a name and a password")
    if not credentials.username or not credentials.password:
        raise Failed(f'Get "{where}": no basic auth credentials')
    with tempfile.TemporaryDirectory(prefix="netloom-login-", dir=_MEMORY) as folder:
        process = await asyncio.create_subprocess_exec(
            *(skopeo.program(), "login", skopeo.tls_option(host), "--authfile", f"{folder}/auth.json"),
            *("--username", credentials.username, "--password-stdin", host),
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=PIPE,
            env=skopeo.environment(),
            start_new_session=True,
        )
        try:
            _, complaint = await process.communicate(credentials.password.encode())
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
    if process.returncode:
        raise _refusal(skopeo.fatal(complaint.decode(errors="replace")), where)


def registry_host(address: str) -> str:
    """The host of what a user calls a registry, `HOST[:PORT]` or a URL. Raises InvalidArgument."""
    host = re.split(r"[/?#]", re.sub("^https?://", "", address), maxsplit=1)[0]
    if host in _HUB_NAMES:
        return HUB
    if not is_domain(host):
        raise InvalidArgument(
            f"unable to parse server address: invalid host {host!r}", remedy="write HOST or HOST:PORT"
        )
    return host


def _refusal(complaint: str, where: str) -> NetloomError:
    if "invalid username/password" in complaint:
        return Failed(f"login attempt to {where} failed with status: 401 Unauthorized")
    return skopeo.failure(complaint)
