"""A daemon on a host of its own: a fresh network and mount namespace with an uplink to an outside network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from netloom.testing.hosts import OUTSIDE4, Host

UP_WITHIN = 20.0  # seconds
DOWN_WITHIN = 20.0
# The mount namespace is the daemon's own, with a resolv.conf that names the outside instead of the machine's servers.
IN_OWN_MOUNTS = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


class Stage:
    """`netloom daemon` running on a host of its own; as a context manager it leaves nothing behind."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="netloom-stage-"))
        self.host = Host(uplink=True)
        self.socket = self.folder / "run" / "netloom.sock"
        self.log = self.folder / "daemon.log"
        self.options = options
        self.daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            (self.folder / "resolv.conf").write_text(f"nameserver {OUTSIDE4}\n")
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the daemon and wait until it answers. Raises RuntimeError with its log when it does not."""
        program = [sys.executable, "-m", "netloom", "daemon", "--socket", str(self.socket)]
        folders = ["--state-dir", str(self.folder / "state"), "--run-dir", str(self.folder / "run")]
        mounts = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", IN_OWN_MOUNTS, "sh"]
        with self.log.open("ab") as log:
            self.daemon = self.host.popen(
                *mounts,
                str(self.folder / "resolv.conf"),
                *program,
                *folders,
                *self.options,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + UP_WITHIN
        while self.docker("version", check=False).returncode != 0:
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the daemon did not come up:\n{self.tail()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9 of the daemon alone."""
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait()

    def docker(self, *words: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the docker CLI against the daemon. A failure raises RuntimeError with what it said."""
        environment = os.environ | {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.folder / "cli")}
        done = subprocess.run(
            ["docker", *words], env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(words)}: exit {done.returncode}\n{done.stderr}{self.tail()}")
        return done

    def tail(self, lines: int = 20) -> str:
        """The end of the daemon's log."""
        return "".join(self.log.read_text().splitlines(keepends=True)[-lines:]) if self.log.exists() else ""

    def wipe(self) -> None:
        """Remove every container and every network that is not predefined."""
        if containers := self.docker("ps", "--all", "--quiet", "--no-trunc").stdout.split():
            self.docker("rm", "--force", *containers)
        if networks := self.docker("network", "ls", "--quiet", "--filter", "type=custom").stdout.split():
            self.docker("network", "rm", *networks)

    def close(self) -> None:
        """Remove what stands, stop the daemon, end what it had started on this host, delete the folder."""
        if self.daemon is not None:
            if self.daemon.poll() is None:
                try:
                    self.wipe()
                finally:
                    self._stop(self.daemon)
            self.daemon = None
        self._end_helpers()
        self.host.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self, daemon: subprocess.Popen[bytes]) -> None:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(DOWN_WITHIN)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _end_helpers(self) -> None:
        """What outlives the daemon by design ends with the folder, by whose name it is found."""
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue  # it has just ended
            if any(os.fsencode(self.folder) in word for word in words) and entry.parent.name != str(os.getpid()):
                os.kill(int(entry.parent.name), signal.SIGKILL)
