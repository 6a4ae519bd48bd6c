"""`netloom dataplane`: the process that owns every socket that must not close when a daemon dies.

One for each run directory, found again by its socket there. A lock file keeps a second one out; the lock goes with the
process.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from netloom.dataplane.control import Control, listen
from netloom.dataplane.handover import Giver, Inheritance
from netloom.dataplane.limits import raise_descriptor_limit
from netloom.dataplane.loop import Loop
from netloom.dataplane.plane import Plane
from netloom.dataplane.protocol import SOCKET
from netloom.dns.exchange import DEADLINE
from netloom.model.errors import Failed

LOCK = "dataplane.lock"
_LOOK = 2.0  # seconds
_TICK = 0.05  # seconds

_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop (request, SIGTERM); 1 when another data plane has this run directory."""
    parser = argparse.ArgumentParser(prog="netloom dataplane")
    parser.add_argument("--run-dir", type=Path, default=Path("/run/netloom"))
    parser.add_argument("--ready-fd", type=int, default=-1, help="gets one byte once the process serves")
    parser.add_argument("--takeover", action="store_true", help="take everything over from the process that runs")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    options.run_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
    _log.info("ready for %d descriptors", raise_descriptor_limit())
    try:
        _serve(options.run_dir, options.ready_fd, takeover=options.takeover)
    except (Failed, OSError) as error:
        _log.error("%s", error)
        return 1
    return 0


def _serve(run_dir: Path, ready_fd: int, *, takeover: bool) -> None:
    loop = Loop()
    loop.on_signal(signal.SIGTERM, signal.SIGINT, call=loop.stop)
    path = run_dir / SOCKET
    inheritance = Inheritance(loop)
    if takeover:
        inheritance.take(path)
    lock = inheritance.lock if takeover else _lock(run_dir)
    plane = inheritance.plane or Plane(loop)
    listener = inheritance.listener or listen(path)
    incarnation = inheritance.incarnation or os.urandom(8).hex()
    giver = Giver(plane, listener, lock, incarnation, loop.stop)
    control = Control(loop, plane, listener, incarnation, stop=loop.stop, succession=giver)
    giver.control = control
    if ready_fd >= 0:
        os.write(ready_fd, b"\n")
        os.close(ready_fd)
    lost = _end_when_lost(loop, control, path)
    gc.collect()
    gc.freeze()  # what was imported is not looked at again
    loop.run()
    control.close()
    if giver.given:
        _log.info("handed over")
        deadline = loop.time() + DEADLINE
        while plane.busy and loop.time() < deadline:
            loop.step(_TICK)
    elif not lost():
        path.unlink(missing_ok=True)
    listener.close()
    plane.close()


def _end_when_lost(loop: Loop, control: Control, path: Path) -> Callable[[], bool]:
    """Stop when no daemon is connected and none can find us any more: our socket was removed or replaced.

    The next daemon starts a fresh process; without this, each removed run directory would leave one behind. Gives
    the question itself: is the path no longer ours?
    """
    ours = path.stat()

    def lost() -> bool:
        try:
            return not os.path.samestat(path.stat(), ours)
        except FileNotFoundError:
            return True

    def look() -> None:
        if lost() and not control.served:
            _log.warning("%s is not ours any more, and nobody is connected", path)
            loop.stop()
        else:
            loop.call_later(_LOOK, look)

    loop.call_later(_LOOK, look)
    return lost


def _lock(run_dir: Path) -> int:
    """Keeps a second process out of the run directory for as long as the fd, or a copy of it, is open."""
    lock = os.open(run_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Failed(f"another data plane serves {run_dir}") from None
    return lock
