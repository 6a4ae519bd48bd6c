"""`netloom dataplane`: the process that owns every socket that must not close when a daemon dies.

One for each run directory, found again by its socket there. A lock file keeps a second one out; the lock goes with the
process.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import gc
import logging
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from netloom.dataplane.control import Control, listen
from netloom.dataplane.limits import raise_descriptor_limit
from netloom.dataplane.plane import Plane

SOCKET = "dataplane.sock"
LOCK = "dataplane.lock"

_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop (request, SIGTERM); 1 when another data plane has this run directory."""
    parser = argparse.ArgumentParser(prog="netloom dataplane")
    parser.add_argument("--run-dir", type=Path, default=Path("/run/netloom"))
    parser.add_argument("--ready-fd", type=int, default=-1, help="gets one byte once the socket is there")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    options.run_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
    lock = os.open(options.run_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _log.error("another data plane serves %s", options.run_dir)
        return 1
    _log.info("ready for %d descriptors", raise_descriptor_limit())
    asyncio.run(_serve(options.run_dir, options.ready_fd))
    return 0


async def _serve(run_dir: Path, ready_fd: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    plane = Plane()
    path = run_dir / SOCKET
    listener = listen(path)
    control = Control(
        plane, listener, secrets.token_hex(8), stop=stopped.set, surrender=lambda channel: channel.close()
    )
    if ready_fd >= 0:
        os.write(ready_fd, b"\n")
        os.close(ready_fd)
    gc.collect()
    gc.freeze()  # what was imported is not looked at again
    await stopped.wait()
    await asyncio.sleep(0)  # the answer to the request that stopped us is on its way
    control.close()
    path.unlink(missing_ok=True)
    listener.close()
    plane.close()
