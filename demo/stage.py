"""A daemon on a host of its own: a fresh network and mount namespace with an uplink to an outside network."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host


@contextmanager
def stage(*options: str) -> Iterator[Daemon]:
    """The running daemon; afterwards nothing of it is left."""
    with (
        tempfile.TemporaryDirectory(prefix="netloom-stage-") as folder,
        Host(uplink=True) as host,
        Daemon(host, Path(folder), *options) as daemon,
    ):
        yield daemon
