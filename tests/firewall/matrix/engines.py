"""The two engines, each on a host with the same two neighbours."""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns

from .city import City, Engine, lay_uplinks


@contextmanager
def netloom() -> Iterator[City]:
    """Ours, with its daemon started for this."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="netloom-matrix-"))
        host = stack.enter_context(Host(uplink=True))
        neighbours = lay_uplinks(host, stack)
        daemon = stack.enter_context(Daemon(host, Path(folder)))
        yield stack.enter_context(City(Engine(daemon.socket, "host"), host, neighbours))


@contextmanager
def docker(path: Path, image: str) -> Iterator[tuple[City, str]]:
    """The Docker behind a socket, which must live in a network namespace of its own; and its version.

    `image`: one of its images that has `sleep`. Only what is made here is removed, and stands in the way if it is
    there already.
    """
    with ExitStack() as stack:
        host = stack.enter_context(Netns.of(_listener(path)))
        if os.stat(host.netns_path).st_ino == os.stat("/proc/self/ns/net").st_ino:
            raise RuntimeError(f"{path}: this Docker has the machine's own network; start one in a namespace")
        engine = Engine(path, image)
        version: str = engine.call("GET", "/version")["Version"]
        neighbours = lay_uplinks(host, stack)
        yield stack.enter_context(City(engine, host, neighbours)), version


def _listener(path: Path) -> int:
    """The process at the other end of a unix socket (unix(7), SO_PEERCRED)."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(path))
        credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])
