"""A data plane in a host, its client, and questions asked from inside a sandbox."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from netloom.dataplane.client import DataPlaneClient
from netloom.model.names import NameEntry, Resolver
from netloom.runtime.processes import Process
from netloom.testing.hosts import Host, Netns, eventually

RED = Resolver(networks=("n-red",))


def entry(endpoint: str, *names: str, ipv4: str = "172.18.0.2", sandbox: str = "s1", network: str = "red") -> NameEntry:
    return NameEntry(
        network=f"n-{network}",
        network_name=network,
        endpoint=endpoint,
        sandbox=sandbox,
        names=names,
        ptr=f"{names[0]}.{network}",
        ipv4=ipv4,
    )


class Client(DataPlaneClient):
    """Remembers every process that it was connected to, and not its number alone: that may be another's by the end."""

    def __init__(self, *args: object, **options: object) -> None:
        self.seen: list[Process] = []
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def __setattr__(self, name: str, value: object) -> None:
        if name == "pid" and value:
            self.seen.append(Process.of(value))  # type: ignore[arg-type]
        super().__setattr__(name, value)


@asynccontextmanager
async def plane(host: Netns, run_dir: Path, **options: object) -> AsyncIterator[DataPlaneClient]:
    """A client of a data plane that lives in `host`; both are ended afterwards."""
    command = ("nsenter", f"--net={host.netns_path}", "--", sys.executable, "-m", "netloom.dataplane")
    client = Client(run_dir, command=command, **options)
    await client.start()
    try:
        yield client
    finally:
        await client.close()
        for process in client.seen:
            fd = process.open()
            if fd < 0:
                continue
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGTERM)
            os.close(fd)
            await asyncio.to_thread(eventually, lambda process=process: not process.alive)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as host:
        yield host


@pytest.fixture
def box() -> Iterator[Netns]:
    with Netns() as box:
        yield box


async def dig(box: Netns, *words: str) -> str:
    return await asyncio.to_thread(box.run, "dig", "+tries=1", "+time=10", "@127.0.0.11", *words, check=False)


async def short(box: Netns, *words: str) -> list[str]:
    return (await dig(box, "+short", *words)).split()


def sleeper(box: Netns) -> subprocess.Popen[bytes]:
    """A process that lives in the box."""
    process = box.popen("sleep", "1000")
    eventually(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
    return process


def asking(box: Netns) -> subprocess.Popen[str]:
    """Queries from inside for two seconds."""
    return box.popen(sys.executable, "-c", _ASKING, stdout=subprocess.PIPE, text=True)


def check_all_answered(load: subprocess.Popen[str]) -> None:
    """The queries of `asking` were all answered, and were many."""
    assert load.stdout is not None
    asked, lost = (int(word) for word in load.stdout.read().split())
    assert asked > 100
    assert lost == 0


_ASKING = """
import socket, struct, sys, time
query = lambda n: struct.pack("!6H", n, 0x100, 1, 0, 0, 0) + b"\\3web\\0\\0\\1\\0\\1"
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
asked = lost = 0
end = time.monotonic() + 2
while time.monotonic() < end:
    for sock in socks:
        sock.settimeout(10)
        sock.sendto(query(asked & 0xffff), ("127.0.0.11", 53))
    for sock in socks:
        try:
            answer = sock.recv(512)
        except TimeoutError:
            lost += 1
        else:
            assert answer[:2] == struct.pack("!H", asked & 0xffff) and answer[7] == 1, answer
    asked += 1
    time.sleep(0.0005)
print(asked, lost)
"""


REDIRECT = """
table ip6 r {
    set p { type inet_service; elements = { 8080 } }
    chain pre { type nat hook prerouting priority dstnat; fib daddr type local tcp dport @p redirect to :PORT; }
    chain out { type nat hook output priority -100; fib daddr type local tcp dport @p redirect to :PORT; }
    chain in { type filter hook input priority 0; tcp dport PORT ct status dnat accept; tcp dport PORT drop; }
}
"""


def attached(host: Netns, box: Netns) -> None:
    """The box gets 10.1.0.2 on a bridge of the host, 10.1.0.1."""
    host.run(
        *("ip", "-batch", "-"),
        stdin=f"""link add br1 type bridge
            addr add 10.1.0.1/24 dev br1
            link set br1 up
            link add v1 master br1 type veth peer name eth0 netns {box.netns_path}
            link set v1 up
            """,
    )
    box.run(
        "ip", "-batch", "-", stdin="addr add 10.1.0.2/24 dev eth0\nlink set eth0 up\nroute add default via 10.1.0.1"
    )
