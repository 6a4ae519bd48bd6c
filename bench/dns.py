"""Names under dnsperf: queries a second, latency of one query alone, what is lost when the daemon is busy or gone.

dnsperf runs in the namespace of a container, on as many names as there are containers. Servers and dnsperf get
precedence over other work on the machine. Beside Docker, aardvark-dns is
measured where $NETLOOM_BENCH_NETAVARK and $NETLOOM_BENCH_AARDVARK (or Debian's own programs) can be had.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path

from bench.engines import PREFIX, Engine, Ours
from bench.figures import Figures
from netloom.dataplane.client import DataPlaneClient
from netloom.model.names import NameEntry, Resolver, Upstream
from netloom.testing.hosts import OUTSIDE4, Host, Netns
from netloom.testing.name_servers import NameServer

SETS = ("known", "unknown", "outside")
NAMES = 20
CROWD = 1000  # sandboxes, each on a network of its own
TURNS = 4  # by which the two are asked, twice
_NICE = -15
_LOAD = ("-q", "100", "-c", "4")
_ONE = ("-q", "1", "-c", "1")
_STEADY = ("-Q", "1000", "-q", "100", "-c", "4")  # a thousand queries a second, spread out


class Run:
    """What one run of dnsperf said. Latencies are milliseconds."""

    def __init__(self, text: str) -> None:
        self.rate = float(_found(r"Queries per second:\s+([\d.]+)", text))
        self.completed = float(_found(r"Queries completed:\s+(\d+)", text))
        self.lost = float(_found(r"Queries lost:\s+(\d+)", text))
        self.latency = 1e3 * float(_found(r"Average Latency \(s\):\s+([\d.]+)", text))
        self.worst = 1e3 * float(_found(r"Average Latency \(s\):.*max ([\d.]+)", text))


def names(engine: Engine, figures: Figures, seconds: float) -> None:
    """(g) Known names, unknown ones, and names of the outside, asked in a container."""
    if not shutil.which("dnsperf"):
        print("bench: names are not measured: dnsperf is not on PATH (Debian: dnsperf)", flush=True)
        return
    with ExitStack() as stack:
        known = [f"{PREFIX}-n{number}" for number in range(NAMES)]
        if isinstance(engine, Ours):
            stack.enter_context(NameServer(engine.daemon.host.outside, OUTSIDE4))
        engine.network("dns")
        containers = [_container(engine, name) for name in known]
        inside = f"/proc/{_pid(engine, containers[-1])}/ns/net"
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = engine.processes()
        _measure(figures, engine.name, servers, inside, "127.0.0.11", _questions(folder, known, ""), seconds)
        if isinstance(engine, Ours):
            _disturbed(engine, figures, inside, folder / "known", seconds)
            _aardvark(figures, folder, seconds)
            asyncio.run(_crowd(figures, folder, seconds))
    engine.wipe()


def _measure(
    figures: Figures,
    name: str,
    servers: Sequence[int],
    inside: str,
    server: str,
    questions: Sequence[Path],
    seconds: float,
) -> None:
    with _preceding([os.getpid(), *servers]):
        for path in questions:
            _dnsperf(inside, server, path, 0.5, *_LOAD)
            before = _cpu(servers)
            run = _dnsperf(inside, server, path, seconds, *_LOAD)
            figures.add(name, f"{path.name} names a second", run.rate)
            figures.add(name, f"processor time of {path.name} names", (_cpu(servers) - before) / run.completed)
        figures.add(name, "one query alone", _dnsperf(inside, server, questions[0], seconds, *_ONE).latency)


def _disturbed(engine: Engine, figures: Figures, inside: str, path: Path, seconds: float) -> None:
    """A steady stream of queries while the daemon is killed and comes back, and while containers are created."""
    assert engine.restart is not None
    disturbances: tuple[tuple[str, Callable[[], object]], ...] = (
        ("the daemon is killed", engine.restart),
        ("100 containers are created", lambda: [engine.container(f"{PREFIX}-dns", start=False) for _ in range(100)]),
    )
    for what, disturb in disturbances:
        done = threading.Event()
        runs: list[Run] = []

        def stream(done: threading.Event = done, runs: list[Run] = runs) -> None:
            while not done.is_set():
                runs.append(_dnsperf(inside, "127.0.0.11", path, max(1.0, seconds), *_STEADY))

        thread = threading.Thread(target=stream)
        thread.start()
        disturb()
        done.set()
        thread.join()
        figures.add(engine.name, f"lost while {what}", sum(run.lost for run in runs))
        figures.add(engine.name, f"latest while {what}", max(run.worst for run in runs))


async def _crowd(figures: Figures, folder: Path, seconds: float) -> None:
    """The data plane by itself: the same questions with one sandbox, and with a thousand, each on its own network.

    Both stand at once and are asked by turns, so that other work on the machine hits both alike.
    """
    with Host() as host, ExitStack() as stack, NameServer(host, "127.0.0.2"):
        command = ("nsenter", f"--net={host.netns_path}", "--", sys.executable, "-m", "netloom.dataplane")
        questions = _questions(folder, [f"{PREFIX}-n{number}" for number in range(NAMES)], "")
        async with AsyncExitStack() as clients:
            asked: list[tuple[str, int, str]] = []
            for name, sandboxes in (("alone", 1), ("crowd", CROWD)):
                client = DataPlaneClient(folder / name, command=command)
                await client.start()
                clients.push_async_callback(client.stop)
                boxes = [stack.enter_context(Netns()) for _ in range(sandboxes)]
                await _stand(client, boxes)
                asked.append((name, client.pid, boxes[0].netns_path))
            for turn in range(2 * TURNS):
                for name, pid, inside in asked if turn % 2 else reversed(asked):
                    await asyncio.to_thread(
                        _measure, figures, name, [pid], inside, "127.0.0.11", questions, seconds / TURNS
                    )


async def _stand(client: DataPlaneClient, boxes: Sequence[Netns]) -> None:
    """The names that are asked in the first sandbox, each further one on a network of its own."""
    for number in range(NAMES):
        await client.put_names(_entry("n0", f"e{number}", "s0", f"{PREFIX}-n{number}", number))
    for number, box in enumerate(boxes):
        if number:
            await client.put_names(_entry(f"n{number}", f"x{number}", f"s{number}", "web", number))
        await client.open_sandbox(f"s{number}", box.fd, 0, Resolver((f"n{number}",), (Upstream("127.0.0.2"),)))


def _entry(network: str, endpoint: str, sandbox: str, name: str, number: int) -> NameEntry:
    return NameEntry(network, network, endpoint, sandbox, (name,), name, f"10.{number >> 8}.{number & 255}.2")


def _aardvark(figures: Figures, folder: Path, seconds: float) -> None:
    """aardvark-dns behind netavark, on a host of its own, with as many names."""
    netavark = os.environ.get("NETLOOM_BENCH_NETAVARK") or "/usr/lib/podman/netavark"
    aardvark = os.environ.get("NETLOOM_BENCH_AARDVARK") or "/usr/lib/podman/aardvark-dns"
    if not (Path(netavark).exists() and Path(aardvark).exists()):
        return
    config, resolv = folder / "netavark", folder / "resolv.conf"
    config.mkdir()
    resolv.write_text("nameserver 127.0.0.1\n")
    with Host() as host, ExitStack() as stack, NameServer(host, "127.0.0.1"):
        stack.callback(_end_aardvark, config)
        known = [f"{PREFIX}-a{number}" for number in range(NAMES)]
        script = 'mount --bind "$1" "$(readlink -f /etc/resolv.conf)" && shift && exec "$@"'
        for number, name in enumerate(known):
            box = stack.enter_context(Netns())
            words = (netavark, "--config", str(config), "--aardvark-binary", aardvark, "setup", box.netns_path)
            # its own mount namespace keeps the resolv.conf of the machine out, and what it writes below /run in
            wrapped = ("unshare", "-m", "--propagation", "slave", "sh", "-c", script, "sh", str(resolv))
            host.run("env", "NETAVARK_FW=none", *wrapped, *words, stdin=json.dumps(_options(number, name)))
        inside = box.netns_path
        server = int((config / "aardvark-dns" / "aardvark.pid").read_text())
        _measure(figures, "aardvark", [server], inside, "10.88.0.1", _questions(folder, known, ".dns.podman"), seconds)


def _options(number: int, name: str) -> dict[str, object]:
    """netavark's NetworkOptions of one container."""
    subnet = {"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}
    network = {
        "dns_enabled": True,
        "driver": "bridge",
        "id": "5" * 64,
        "internal": False,
        "ipv6_enabled": False,
        "name": "bench",
        "network_interface": "nvb0",
        "subnets": [subnet],
        "ipam_options": {"driver": "host-local"},
    }
    joined = {"static_ips": [f"10.88.0.{number + 2}"], "interface_name": "eth0", "aliases": [name]}
    return {
        "container_id": f"{number:064x}",
        "container_name": name,
        "networks": {"bench": joined},
        "network_info": {"bench": network},
    }


def _end_aardvark(config: Path) -> None:
    pid = config / "aardvark-dns" / "aardvark.pid"
    if pid.exists():
        subprocess.run(["kill", pid.read_text().strip()], check=False)


def _container(engine: Engine, name: str) -> str:
    body = {
        "Image": engine.image,
        "Cmd": ["sleep", "100000"],
        "Labels": {PREFIX: ""},
        "HostConfig": {"NetworkMode": f"{PREFIX}-dns"},
    }
    made: str = engine.client.call("POST", f"/containers/create?name={name}", body)["Id"]
    engine.client.call("POST", f"/containers/{made}/start")
    return made


def _pid(engine: Engine, container: str) -> int:
    return int(engine.client.call("GET", f"/containers/{container}/json")["State"]["Pid"])


def _questions(folder: Path, known: Sequence[str], domain: str) -> list[Path]:
    asked = {
        "known": known,
        "unknown": [f"nobody{number}{domain}" for number in range(NAMES)],
        "outside": [f"h{number}.example.test" for number in range(NAMES)],
    }
    for name in SETS:
        (folder / name).write_text("".join(f"{question} A\n" for question in asked[name]))
    return [folder / name for name in SETS]


def _dnsperf(inside: str, server: str, path: Path, seconds: float, *options: str) -> Run:
    words = ["dnsperf", "-s", server, "-d", str(path), "-l", f"{seconds:g}", "-T", "1", *options]
    done = subprocess.run(["nsenter", f"--net={inside}", "--", *words], capture_output=True, text=True, check=True)
    return Run(done.stdout)


def _cpu(pids: Sequence[int]) -> float:
    """Seconds of processor time that the processes have used (proc(5), stat)."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def _preceding(pids: Sequence[int]) -> Iterator[None]:
    """Before other work: as threads, and as sessions where the scheduler groups by those (sched(7), autogroup).

    What runs this stands as before afterwards: its session is that of its user.
    """
    own = Path("/proc/self/autogroup")
    former = int(own.read_text().rpartition(" ")[2]) if own.exists() else 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(thread), _NICE)
        group = Path(f"/proc/{pid}/autogroup")
        if group.exists():
            group.write_text(str(_NICE))
    try:
        yield
    finally:
        for thread in os.listdir("/proc/self/task"):
            os.setpriority(os.PRIO_PROCESS, int(thread), 0)
        if own.exists():
            own.write_text(str(former))


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"dnsperf said:\n{text}")
    return match[1]
