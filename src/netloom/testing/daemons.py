"""A netloom daemon in a test host, driven by the real docker CLI.

    with Host(uplink=True) as host, Daemon(host, tmp_path) as daemon:
        daemon.docker("network", "create", "red")
        daemon.kill()          # kill -9: containers go on
        daemon.start()         # the next one on the same state

At `close` every container is removed, the daemon and its data plane are ended, and what is left is told.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from netloom.testing.hosts import OUTSIDE4, Host

READY_TIMEOUT = 90.0  # seconds


class Daemon:
    """One state directory and the daemons that live on it, one after another."""

    def __init__(self, host: Host, directory: Path, *options: str, resolv_conf: str | None = None) -> None:
        self.host = host
        self.directory = directory
        self.options = options
        self.socket = directory / "n.sock"
        self.state_dir = directory / "state"
        self.run_dir = directory / "run"
        self.log = directory / "daemon.log"
        directory.mkdir(parents=True, exist_ok=True)
        self.resolv_conf = directory / "resolv.conf"
        self.resolv_conf.write_text(resolv_conf if resolv_conf is not None else f"nameserver {OUTSIDE4}\n")
        self.environment = {**os.environ}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The daemon's."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Has it been started and not ended?"""
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        """Start it without waiting; its mount namespace has a resolv.conf of its own."""
        script = 'mount --bind "$1" "$(readlink -f /etc/resolv.conf)" && shift && exec "$@"'
        daemon = [
            *(sys.executable, "-m", "netloom", "daemon", "--socket", str(self.socket)),
            *("--state-dir", str(self.state_dir), "--run-dir", str(self.run_dir), *self.options),
        ]
        self._process = subprocess.Popen(
            [
                *("nsenter", f"--net={self.host.netns_path}", "--"),
                *("unshare", "-m", "--propagation", "slave", "sh", "-c", script, "sh", str(self.resolv_conf), *daemon),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
            env=self.environment,
            start_new_session=True,
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.spawn()
        deadline = time.monotonic() + READY_TIMEOUT
        while True:
            assert self._process is not None
            if self._process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self._process.returncode}:\n{self.log_tail()}")
            try:
                self.api("GET", "/_ping")
            except OSError:
                if time.monotonic() > deadline:
                    raise AssertionError(f"the daemon does not answer:\n{self.log_tail()}") from None
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        """kill -9, and wait for its end."""
        self.end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        return self.end(signal.SIGTERM)

    def end(self, number: int) -> int:
        """Send a signal, wait for the end; the exit status. Ended already is success."""
        if self._process is None:
            return 0
        self._process.send_signal(number)
        code = self._process.wait(30)
        self._process = None
        return code

    def close(self) -> None:
        """Remove every container and end everything that was started here."""
        try:
            if not self.running:
                self._process = None
                self.start()
            for container in self.json("GET", "/containers/json?all=1"):
                self.api("DELETE", f"/containers/{container['Id']}?force=1")
        except OSError as error:
            raise AssertionError(f"the daemon answers no more:\n{self.log_tail()}") from error
        finally:
            self.end(signal.SIGTERM)
            self._end_data_plane()

    def docker(self, *words: str, check: bool = True, stdin: str | None = None, timeout: float = 60) -> str:
        """Run the docker CLI against it; its output. A failure raises AssertionError with all that it said."""
        done = self.docker_run(*words, stdin=stdin, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(
                f"docker {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.log_tail()}"
            )
        return done.stdout.strip() if check else (done.stdout + done.stderr).strip()

    def docker_run(
        self, *words: str, stdin: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run the docker CLI; everything about its end."""
        return subprocess.run(
            self.command(*words), input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )

    def command(self, *words: str) -> list[str]:
        """The docker CLI's command line for this daemon."""
        return ["docker", "-H", f"unix://{self.socket}", *words]

    def inspect(self, name: str) -> dict[str, Any]:
        """`docker inspect` of one object."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", name))
        return found[0]

    def network(self, name: str) -> dict[str, Any]:
        """`docker network inspect` of one network."""
        found: list[dict[str, Any]] = json.loads(self.docker("network", "inspect", name))
        return found[0]

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """One raw request: status and body. Raises OSError when nobody listens."""
        connection = UnixConnection(self.socket)
        try:
            data = json.dumps(body).encode() if body is not None else None
            connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The same, for an answer below 400, decoded."""
        status, text = self.api(method, path, body)
        assert status < 400, f"{method} {path}: {status} {text.decode(errors='replace')}"
        return json.loads(text) if text else None

    def log_tail(self, size: int = 4000) -> str:
        """The end of the daemon's log."""
        return self.log.read_bytes()[-size:].decode(errors="replace") if self.log.exists() else ""

    def data_plane_pid(self) -> int:
        """The pid of the data-plane process, 0 when there is none."""
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"netloom.dataplane" in words and any(str(self.run_dir).encode() in word for word in words):
                    return int(entry)
        return 0

    def _end_data_plane(self) -> None:
        while pid := self.data_plane_pid():
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            try:
                signal.pidfd_send_signal(fd, signal.SIGTERM)
                if not _wait(fd, 5):
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
                    _wait(fd, 5)
            except ProcessLookupError:
                pass
            finally:
                os.close(fd)


def _wait(pidfd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class UnixConnection(http.client.HTTPConnection):
    """To the server behind a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))
