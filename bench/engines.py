"""The engines that stand side by side: ours on a stage of its own, Docker where it can be had."""

from __future__ import annotations

import io
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.client import Client
from demo.stage import stage
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Host

SLEEP = ["sleep", "100000"]
PREFIX = "nlbench"
DOCKER_IMAGE = f"{PREFIX}:1"


class Engine:
    """One engine behind its socket. What it makes has PREFIX in its name, and `wipe` removes just that."""

    def __init__(self, name: str, path: str, image: str) -> None:
        self.name = name
        self.path = path
        self.image = image
        self.outside = ""  # the network namespace beyond the host's uplink: a file; empty where nobody says
        self.client = Client(path)
        self.restart: Callable[[], float] | None = None  # kills the daemon; ms from the next one's start to an answer

    def close(self) -> None:
        """Close the connection: whichever it is by then, a restart makes a new one."""
        self.client.close()

    def docker(self, *words: str) -> list[str]:
        """The docker CLI's command line for this engine."""
        return ["docker", "-H", f"unix://{self.path}", *words]

    def network(self, name: str, **options: Any) -> str:
        made: dict[str, str] = self.client.call("POST", "/networks/create", {"Name": f"{PREFIX}-{name}", **options})
        return made["Id"]

    def container(
        self,
        network: str,
        *,
        start: bool = True,
        ports: int = 0,
        first: int = 20000,
        shift: int = 0,
        command: Sequence[str] = SLEEP,
    ) -> str:
        """A sleeping container; its published ports begin with the host's `first`, `shift` is that of those inside."""
        exposed = {f"{first + shift + port}/tcp": [{"HostPort": str(first + port)}] for port in range(ports)}
        body = {
            "Image": self.image,
            "Cmd": command,
            "Labels": {PREFIX: ""},
            "ExposedPorts": {port: {} for port in exposed},
            "HostConfig": {"NetworkMode": network, "PortBindings": exposed},
        }
        made: dict[str, str] = self.client.call("POST", "/containers/create", body)
        if start:
            self.client.call("POST", f"/containers/{made['Id']}/start")
        return made["Id"]

    def told(self, container: str) -> Any:
        """What inspect says of a container."""
        return self.client.call("GET", f"/containers/{container}/json")

    def host(self) -> str:
        """The network namespace in which the engine is: a file."""
        return f"/proc/{_listener(self.path)}/ns/net"

    def remove(self, container: str) -> float:
        return self.client.timed("DELETE", f"/containers/{container}?force=1&v=1")

    def _answered(self, start: Callable[[], object]) -> float:
        """Start a daemon; ms until it answers."""
        self.client.close()
        begun = time.perf_counter()
        start()
        deadline = begun + 120
        while True:
            try:
                self.client = Client(self.path)
                self.client.call("GET", "/containers/json")
            except (OSError, RuntimeError):
                if time.perf_counter() > deadline:
                    raise
                time.sleep(0.002)
            else:
                return (time.perf_counter() - begun) * 1e3

    def wipe(self) -> None:
        mine = f'{{"label":["{PREFIX}"]}}'
        for container in self.client.call("GET", f"/containers/json?all=1&filters={mine}"):
            self.remove(container["Id"])
        for network in self.client.call("GET", "/networks"):
            if network["Name"].startswith(f"{PREFIX}-"):
                self.client.call("DELETE", f"/networks/{network['Id']}")

    def memory(self) -> float:
        """MiB of resident memory of the daemon and what it runs beside it, without the containers' own processes."""
        return sum(_resident(pid) for pid in self.processes()) / 1024

    def kept(self) -> float:
        """MiB of all processes that this engine keeps, pages shared with others by their share (PSS)."""
        daemons = self.processes()
        keepers = [pid for pid in _pids() if _keeps(pid, self.path)]
        return sum(_proportional(pid) for pid in {*daemons, *keepers}) / 1024

    def carriers(self) -> list[int]:
        """The processes that copy bytes between clients and containers."""
        return [pid for pid in _descendants(_listener(self.path)) if _name(pid) == "docker-proxy"]

    def processes(self) -> list[int]:
        """The daemon (who listens on the socket) and its helpers: containerd, our data plane."""
        daemon = _listener(self.path)
        return [daemon, *(pid for pid in _descendants(daemon) if _name(pid) in ("containerd", "docker-proxy"))]


class Ours(Engine):
    """netloom on its stage."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__("netloom", str(daemon.socket), "host")
        self.daemon = daemon
        self.outside = daemon.host.outside.netns_path
        self.restart = self._restart

    def _restart(self) -> float:
        self.daemon.kill()
        return self._answered(self.daemon.spawn)

    def carriers(self) -> list[int]:
        """The relay, where it has been started."""
        return list(_descendants(self.daemon.data_plane_pid()))

    def processes(self) -> list[int]:
        """The daemon and its data plane."""
        return [pid for pid in (self.daemon.pid, self.daemon.data_plane_pid()) if pid]


class Docker(Engine):
    """A dockerd. NETLOOM_BENCH_DOCKER_START, which starts it with live-restore, lets its restart be measured."""

    def __init__(self, path: str, image: str, outside: str) -> None:
        super().__init__("docker", path, image)
        self.outside = outside
        if os.environ.get("NETLOOM_BENCH_DOCKER_START"):
            self.restart = self._restart

    def _restart(self) -> float:
        daemon = os.pidfd_open(_listener(self.path))
        try:
            signal.pidfd_send_signal(daemon, signal.SIGKILL)
            select.select([daemon], [], [])
        finally:
            os.close(daemon)
        command = shlex.split(os.environ["NETLOOM_BENCH_DOCKER_START"])
        return self._answered(lambda: subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def _straight(host: Host) -> None:
    """Put what is outside at the very end of the uplink: behind a bridge, as hosts have it, each packet costs more."""
    (port,) = json.loads(host.outside.run("ip", "-j", "link", "show", "master", "wan"))
    host.outside.run(
        "ip",
        "-batch",
        "-",
        stdin=f"""link del wan
            addr add {OUTSIDE4}/24 dev {port["ifname"]}
            addr add {OUTSIDE6}/64 dev {port["ifname"]} nodad
            """,
    )


@contextmanager
def netloom() -> Iterator[Engine]:
    """Ours, with its daemon started for this."""
    with stage() as daemon:
        _straight(daemon.host)
        engine = Ours(daemon)
        try:
            yield engine
        finally:
            engine.wipe()
            engine.client.close()


@contextmanager
def docker() -> Iterator[Engine | None]:
    """Docker: the one at $NETLOOM_BENCH_DOCKER (unix:///…), else a dockerd on PATH, started for this; else None.

    $NETLOOM_BENCH_DOCKER_OUTSIDE names the network namespace (a file) beyond the uplink of the first one.
    """
    with ExitStack() as stack:
        address = os.environ.get("NETLOOM_BENCH_DOCKER", "")
        if address:
            path, outside = address.removeprefix("unix://"), os.environ.get("NETLOOM_BENCH_DOCKER_OUTSIDE", "")
        elif shutil.which("dockerd") and shutil.which("containerd"):
            path, outside = stack.enter_context(_dockerd())
        else:
            yield None
            return
        engine = Docker(path, DOCKER_IMAGE, outside)
        stack.callback(engine.close)
        engine.client.call("POST", f"/images/create?fromSrc=-&repo={PREFIX}&tag=1", raw=_image("sleep", "cat"))
        stack.callback(lambda: engine.client.call("DELETE", f"/images/{DOCKER_IMAGE}?force=1"))
        engine.wipe()
        stack.callback(engine.wipe)
        yield engine


@contextmanager
def _dockerd() -> Iterator[tuple[str, str]]:
    """A dockerd on a host of its own: the path of its socket, and the namespace outside."""
    folder = Path(tempfile.mkdtemp(prefix="netloom-bench-docker-"))
    path = folder / "docker.sock"
    with Host(uplink=True) as host, (folder / "log").open("wb") as log:
        words = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
        daemon = host.popen(
            *("unshare", "--mount", "--propagation", "slave", "dockerd", "-H", f"unix://{path}", *words),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        deadline = time.monotonic() + 30
        while not path.exists():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd did not come up:\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        try:
            yield str(path), host.outside.netns_path
        finally:
            daemon.terminate()
            daemon.wait(60)
    shutil.rmtree(folder, ignore_errors=True)


def _image(*programs: str) -> bytes:
    """A tar of programs of this machine and the libraries they need: an image without a registry."""
    files: dict[str, str] = {}
    for program in programs:
        found = shutil.which(program)
        assert found, f"{program} is not on PATH"
        linked = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        files |= {f"usr/bin/{program}": found} | {path.lstrip("/"): path for path in re.findall(r"(/\S+) \(0x", linked)}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for inside, outside in files.items():
            archive.add(os.path.realpath(outside), inside)
        link = tarfile.TarInfo("bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        archive.addfile(link)
    return content.getvalue()


def _listener(path: str) -> int:
    """The process at the other end of a unix socket (unix(7), SO_PEERCRED)."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
        credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _, _ = struct.unpack("3i", credentials)
    return int(pid)


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _keeps(pid: int, socket_path: str) -> bool:
    """Is it a container's monitor, of the engine whose socket lies there? Its command line names the folders."""
    if _name(pid) not in ("conmon", "containerd-shim"):
        return False
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return os.path.dirname(socket_path) in line


def _proportional(pid: int) -> int:
    """KiB (proc(5), smaps_rollup)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)[0])


def _name(pid: int) -> str:
    return _status(pid).get("Name", "")


def _resident(pid: int) -> int:
    """KiB."""
    return int(_status(pid).get("VmRSS", "0 kB").split()[0])


def _descendants(pid: int) -> Iterator[int]:
    children = [
        int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _status(int(entry.name)).get("PPid") == str(pid)
    ]
    for child in children:
        yield child
        yield from _descendants(child)
