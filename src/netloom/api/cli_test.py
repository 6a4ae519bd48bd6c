"""The docker CLI itself, unmodified, against the server on the daemon's own event loop."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import shutil
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from netloom.api.server import ApiServer
from netloom.daemon.tls import mutual
from netloom.daemon.tls_test import signed
from netloom.testing.fake_backend import FakeBackend

DOCKER = shutil.which("docker") or ""
pytestmark = pytest.mark.skipif(not DOCKER, reason="the docker CLI is not installed")


class Docker:
    """Runs the CLI; `backend` is what it talks to, in another thread: look, do not touch."""

    def __init__(self, home: Path) -> None:
        self.backend: FakeBackend
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {"HOME": str(home), "PATH": os.environ["PATH"]}

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [DOCKER, *words], input=stdin, capture_output=True, env=self.environment, timeout=60, check=False
        )

    def __call__(self, *words: str, stdin: bytes = b"") -> str:
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, done
        return done.stdout.decode()

    def error(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode != 0, done
        return done.stderr.decode()

    def start(self, *words: str, **more: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([DOCKER, *words], env=self.environment, **more)
        self.processes.append(process)
        return process


@contextmanager
def serving(directory: Path, listen: Callable[[ApiServer, Docker], Coroutine[Any, Any, None]]) -> Iterator[Docker]:
    docker = Docker(directory)
    ready = threading.Event()
    control: list[Any] = []

    async def serve() -> None:
        docker.backend = FakeBackend(time.time_ns)
        server = ApiServer(docker.backend)
        await listen(server, docker)
        stop = asyncio.Event()
        control.extend((asyncio.get_running_loop(), stop))
        ready.set()
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.Runner(loop_factory=uvloop.new_event_loop).run(serve()))
    thread.start()
    assert ready.wait(10)
    yield docker
    for process in docker.processes:
        process.kill()
        process.wait(20)
    loop, stop = control
    loop.call_soon_threadsafe(stop.set)
    thread.join(15)
    assert not thread.is_alive()


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    async def listen(server: ApiServer, docker: Docker) -> None:
        await server.listen_unix(tmp_path / "api.sock")
        docker.environment["DOCKER_HOST"] = f"unix://{tmp_path}/api.sock"

    with serving(tmp_path, listen) as docker:
        yield docker


@pytest.fixture
def docker_by_tls(tmp_path: Path) -> Iterator[Docker]:
    for name in ("server", "client"):
        signed(tmp_path, "ca", name)
    for ours, theirs in (("client.pem", "cert.pem"), ("client.key", "key.pem")):
        (tmp_path / theirs).write_bytes((tmp_path / ours).read_bytes())

    async def listen(server: ApiServer, docker: Docker) -> None:
        context = mutual(str(tmp_path / "ca.pem"), str(tmp_path / "server.pem"), str(tmp_path / "server.key"))
        port = await server.listen_tcp("127.0.0.1", 0, context)
        docker.environment |= {"DOCKER_HOST": f"tcp://127.0.0.1:{port}", "DOCKER_TLS_VERIFY": "1"}
        docker.environment["DOCKER_CERT_PATH"] = str(tmp_path)

    with serving(tmp_path, listen) as docker:
        yield docker


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.01)


def test_networks(docker: Docker) -> None:
    key = docker("network", "create", "--subnet", "10.9.0.0/24", "--label", "a=b", "red").strip()
    assert docker("network", "ls", "-q", "--no-trunc", "--filter", "label=a").strip() == key
    shown = json.loads(docker("network", "inspect", "red"))[0]
    assert (shown["Id"], shown["IPAM"]["Config"]) == (key, [{"Subnet": "10.9.0.0/24"}])
    container = docker("run", "-d", "--name", "c", "host", "sleep").strip()
    docker("network", "connect", "--alias", "x", "--ip", "10.9.0.7", "red", "c")
    assert docker.backend.container("c").networks["red"].aliases == ("x",)
    assert list(json.loads(docker("network", "inspect", "red"))[0]["Containers"]) == [container]
    docker("network", "disconnect", "red", "c")
    assert docker("network", "prune", "-f").split() == ["Deleted", "Networks:", "red"]
    assert "network nope not found" in docker.error("network", "rm", "nope")


def test_run_in_the_foreground(docker: Docker) -> None:
    done = docker.run("run", "--rm", "host", "echo", "hello")
    assert (done.returncode, done.stdout) == (0, b"hello\n")
    done = docker.run("run", "--rm", "host", "err", "oops")
    assert (done.returncode, done.stderr) == (0, b"oops\n")
    assert docker.run("run", "--rm", "host", "exit", "9").returncode == 9
    data = bytes(range(256)) * 4096
    done = docker.run("run", "--rm", "-i", "host", "cat", stdin=data)
    assert (done.returncode, done.stdout == data) == (0, True)
    assert docker("ps", "-aq") == ""


def test_ps_logs_port_inspect(docker: Docker) -> None:
    key = docker("run", "-d", "--name", "web", "-p", "8080:80", "-e", "A=b", "--label", "q=z", "host", "sleep", "9")
    line = docker("ps", "--no-trunc", "--format", "{{.ID}}|{{.Image}}|{{.Command}}|{{.Ports}}|{{.Names}}|{{.Networks}}")
    assert line.strip() == f'{key.strip()}|host|"sleep 9"|0.0.0.0:8080->80/tcp|web|bridge'
    assert docker("port", "web", "80").strip() == "0.0.0.0:8080"
    assert docker("inspect", "-f", "{{.Config.Env}} {{.State.Status}}", "web").strip() == "[A=b] running"
    assert docker("ps", "-q", "--filter", "publish=8080", "--filter", "label=q=z", "--no-trunc") == key
    docker("run", "--name", "said", "host", "echo", "one", "two")
    assert docker("logs", "said") == "one two\n"
    assert docker("logs", "-t", "--tail", "1", "said").endswith("Z one two\n")
    docker("rename", "web", "site")
    docker("stop", "site")
    assert docker("wait", "site").strip() == "137"
    docker("rm", "-f", "site", "said")
    assert "No such container: site" in docker.error("inspect", "--type", "container", "site")


def test_exec(docker: Docker) -> None:
    docker("run", "-d", "--name", "c", "host", "sleep")
    assert docker("exec", "c", "echo", "hi") == "hi\n"
    assert docker("exec", "-i", "c", "cat", stdin=b"piped") == "piped"
    assert docker.run("exec", "c", "exit", "5").returncode == 5
    done = docker.run("exec", "c", "nosuch")
    assert (done.returncode, b"executable file not found" in done.stdout) == (127, True)
    docker("exec", "-d", "c", "sleep")


def test_a_terminal_detached_and_attached_again(docker: Docker) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = docker.start("run", "-it", "--name", "c", "host", "cat", stdin=theirs, stdout=theirs, stderr=theirs)
    until(lambda: [p for p in docker.backend.processes.values() if p.tty])
    until(lambda: docker.backend.container("c").state.running)
    os.write(ours, b"hello")
    seen = b""
    while b"hello" not in seen:
        assert select.select([ours], [], [], 20)[0]
        seen += os.read(ours, 1024)
    key = docker.backend.container("c").id
    until(lambda: docker.backend.sizes.get(key) == (24, 80))
    os.write(ours, b"\x10\x11")
    assert process.wait(20) == 0
    assert docker("ps", "-q") != ""
    again = docker.start("attach", "c", stdin=theirs, stdout=theirs, stderr=theirs)
    until(lambda: docker.backend.processes[key].opens == 2)
    assert docker.backend.processes[key].closes == 1
    docker("kill", "c")
    assert again.wait(20) == 137
    os.close(ours)
    os.close(theirs)


def test_events(docker: Docker) -> None:
    process = docker.start("events", "--filter", "type=network", "--format", "{{json .}}", stdout=subprocess.PIPE)
    assert process.stdout is not None
    until(lambda: docker.backend.bus.subscribers == 1)
    docker("run", "--rm", "host", "exit", "0")
    key = docker("network", "create", "n").strip()
    event = json.loads(process.stdout.readline())
    assert (event["Action"], event["Actor"]["ID"]) == ("create", key)
    process.terminate()
    process.wait(20)
    process.stdout.close()
    until(lambda: docker.backend.bus.subscribers == 0)
    assert len(docker("events", "--since", "1", "--until", f"{time.time():.9f}").splitlines()) == 5


def test_what_netloom_does_not_carry_out(docker: Docker) -> None:
    assert "unknown or invalid runtime name: x" in docker.error("run", "--runtime", "x", "host", "true")
    assert "not supported by netloom yet: plugins" in docker.error("plugin", "ls")


def test_version_info_images(docker: Docker) -> None:
    assert docker("version", "-f", "{{.Server.APIVersion}} {{.Server.MinAPIVersion}}").strip() == "1.51 1.24"
    assert docker("info", "-f", "{{.FirewallBackend.Driver}} {{.ServerVersion}}").startswith("nftables ")
    assert docker("images", "--format", "{{.Repository}}:{{.Tag}}").strip() == "host:latest"
    assert docker("image", "inspect", "-f", "{{.Os}}", "host").strip() == "linux"


def test_streams_over_mutual_tls(docker_by_tls: Docker) -> None:
    """The CLI ends its side first and reads on, which TLS must bear in both directions."""
    docker = docker_by_tls
    assert docker("run", "--rm", "host", "echo", "hello") == "hello\n"
    data = bytes(range(256)) * 8192
    assert docker.run("run", "--rm", "-i", "host", "cat", stdin=data).stdout == data
    docker("run", "-d", "--name", "c", "host", "sleep")
    assert docker("exec", "-i", "c", "cat", stdin=b"piped") == "piped"
    assert docker.run("exec", "c", "exit", "5").returncode == 5


def test_tls_needs_a_certificate(docker_by_tls: Docker) -> None:
    docker = docker_by_tls
    for missing in ("DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"):
        environment = {key: value for key, value in docker.environment.items() if key != missing}
        done = subprocess.run([DOCKER, "version"], capture_output=True, env=environment, timeout=60, check=False)
        assert done.returncode != 0
    assert docker("version", "-f", "{{.Server.APIVersion}}").strip() == "1.51"
