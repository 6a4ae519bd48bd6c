"""The process, its client, real namespaces and real queries."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from netloom.dataplane.client import DataPlaneClient
from netloom.dataplane.conftest import (
    RED,
    asking,
    check_all_answered,
    dig,
    entry,
    plane,
    short,
    sleeper,
)
from netloom.dns import message as m
from netloom.dns.rdata.a import A
from netloom.model.errors import NotFound
from netloom.model.names import Resolver, Upstream
from netloom.testing.hosts import Host, Netns, eventually

pytestmark = pytest.mark.root


async def test_answers_by_udp_and_tcp(host: Host, box: Netns, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        await client.open_sandbox("s1", box.fd, 0, RED)
        await client.put_names(entry("e1", "web", "www"))
        assert await short(box, "web") == ["172.18.0.2"]
        assert await short(box, "+tcp", "WWW.red.") == ["172.18.0.2"]
        assert await short(box, "-x", "172.18.0.2") == ["web.red."]
        await client.drop_names("e1")
        assert "status: SERVFAIL" in await dig(box, "web")


async def test_port_53_is_free_for_the_container(host: Host, box: Netns, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        await client.open_sandbox("s1", box.fd, 0, RED)
        await client.put_names(entry("e1", "web"))
        with box.serve("0.0.0.0", 53, "tcp"), box.serve("0.0.0.0", 53, "udp", tag="mine"):
            assert await short(box, "web") == ["172.18.0.2"]
            assert await short(box, "+tcp", "web") == ["172.18.0.2"]
            seen = await asyncio.to_thread(box.ask, "127.0.0.1", 53, "udp")
            assert seen.tag == "mine"


async def test_strict_firewall_inside_lets_names_through(host: Host, box: Netns, tmp_path: Path) -> None:
    box.run(
        "nft",
        "-f",
        "-",
        stdin="""table ip fw {
            chain in { type filter hook input priority 0; policy drop;
                ct state invalid drop
                ct state established accept
                ip daddr 127.0.0.11 meta l4proto { tcp, udp } accept
            }
            chain out { type filter hook output priority 0; policy drop;
                ct state established accept
                udp dport 53 accept
                tcp dport 53 accept
            }
        }""",
    )
    async with plane(host, tmp_path) as client:
        await client.open_sandbox("s1", box.fd, 0, RED)
        await client.put_names(entry("e1", "web"))
        assert await short(box, "web") == ["172.18.0.2"]
        assert await short(box, "+tcp", "web") == ["172.18.0.2"]


async def test_networks_do_not_see_each_other(host: Host, box: Netns, tmp_path: Path) -> None:
    with Netns() as other:
        async with plane(host, tmp_path) as client:
            await client.open_sandbox("s1", box.fd, 0, RED)
            await client.open_sandbox("s2", other.fd, 0, Resolver(networks=("n-red", "n-blue")))
            await client.put_names(entry("e1", "web"))
            await client.put_names(entry("e2", "web", "db", network="blue", ipv4="172.19.0.2"))
            assert await short(box, "db") == []
            assert await short(other, "db") == ["172.19.0.2"]
            assert await short(other, "web") == ["172.18.0.2"]
            assert await short(other, "web.blue") == ["172.19.0.2"]


async def test_sandbox_ends_with_its_process_without_a_daemon(host: Host, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        box = Netns()
        host.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "eth0", "netns", box.netns_path)
        process = await asyncio.to_thread(sleeper, box)
        await client.open_sandbox("s1", box.fd, process.pid, RED)
        await client.put_names(entry("e1", "web"))
        await client.close()
        os.close(box.fd)
        box.fd = -1
        assert "v0" in host.run("ip", "link")
        process.kill()
        process.wait()
        await asyncio.to_thread(eventually, lambda: "v0" not in host.run("ip", "link"), what="the veth is gone")
        again = DataPlaneClient(tmp_path)
        await again.start()
        assert not again.fresh
        assert await again.state() == (await again.state()).__class__(relay_port=60053)
        await again.stop()
        box.close()


# Asks for `web` again and again over two sockets, one at a time each; says how many were asked and how many lost.


async def test_killed_daemon_loses_no_query(host: Host, box: Netns, tmp_path: Path) -> None:
    """A daemon process is killed -9 again and again while queries run."""
    async with plane(host, tmp_path) as client:
        await client.open_sandbox("s1", box.fd, 0, RED)
        await client.put_names(entry("e1", "web"))
        await client.close()
        load = asking(box)
        while load.poll() is None:
            await asyncio.to_thread(_daemon_that_is_killed, tmp_path)
        check_all_answered(load)
        last = DataPlaneClient(tmp_path)
        await last.start()
        assert len((await last.state()).entries) == 1
        await last.stop()


def _daemon_that_is_killed(run_dir: Path) -> None:
    daemon = subprocess.Popen([sys.executable, "-c", _DAEMON, str(run_dir)], stdout=subprocess.PIPE)
    assert daemon.stdout is not None
    said = daemon.stdout.readline()
    daemon.kill()
    daemon.wait()
    daemon.stdout.close()
    assert said == b"connected\n"


_DAEMON = """
import asyncio, sys, pathlib
from netloom.dataplane.client import DataPlaneClient
async def main():
    client = DataPlaneClient(pathlib.Path(sys.argv[1]))
    await client.start()
    assert not client.fresh
    await client.state()
    print("connected", flush=True)
    while True:
        await client.state()
asyncio.run(main())
"""


async def test_killed_data_plane_is_back_with_everything(host: Host, box: Netns, tmp_path: Path) -> None:
    restored = asyncio.Event()

    async def tell() -> None:
        await client.open_sandbox("s1", box.fd, 0, RED)
        await client.put_names(entry("e1", "web"))
        restored.set()

    async with plane(host, tmp_path, on_restart=tell) as client:
        await tell()
        restored.clear()
        first = client.pid
        os.kill(first, signal.SIGKILL)
        under_way = asyncio.create_task(client.put_names(entry("e2", "db", ipv4="172.18.0.3")))
        await asyncio.wait_for(restored.wait(), 10)
        await under_way
        assert client.pid != first
        assert await short(box, "web") == ["172.18.0.2"]
        assert await short(box, "db") == ["172.18.0.3"]


class Upstreams:
    """A DNS server that answers every A question with one address; `answers` False: it is silent."""

    def __init__(self, box: Netns, address: str, says: str, *, answers: bool = True) -> None:
        self.asked = 0
        self._udp = box.call(_bound, address, socket.SOCK_DGRAM)
        self._says = A(socket.inet_aton(says))
        self._answers = answers

    def __enter__(self) -> Upstreams:
        asyncio.get_running_loop().add_reader(self._udp, self._readable)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._udp)
        self._udp.close()

    def _readable(self) -> None:
        data, client = self._udp.recvfrom(4096)
        self.asked += 1
        if self._answers:
            asked = m.decode(data)
            question = asked.questions[0]
            record = m.Record(question.name, self._says, 5)
            self._udp.sendto(m.encode(m.Message(asked.id, m.QR | m.RA | m.RD, (question,), (record,))), client)


def _bound(address: str, kind: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind((address, 53))
    sock.setblocking(False)
    return sock


async def test_forwards_from_the_host_and_from_the_sandbox(host: Host, box: Netns, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        outside = (Upstream("127.0.0.2"),)
        await client.open_sandbox("s1", box.fd, 0, Resolver(("n-red",), outside))
        with Upstreams(host, "127.0.0.2", "192.0.2.1"), Upstreams(box, "127.0.0.2", "192.0.2.2"):
            assert await short(box, "example.test") == ["192.0.2.1"]
            await client.set_resolver("s1", Resolver(("n-red",), (Upstream("127.0.0.2", from_sandbox=True),)))
            assert await short(box, "example.test") == ["192.0.2.2"]
            await client.set_resolver("s1", Resolver(("n-red",), outside, forward=False))
            said = await dig(box, "example.test")
            assert "status: SERVFAIL" in said
            assert "flags: qr rd;" in said


async def test_a_silent_server_is_passed_over_and_remembered(host: Host, box: Netns, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        servers = (Upstream("127.0.0.2"), Upstream("127.0.0.3"), Upstream("127.0.0.4"))
        await client.open_sandbox("s1", box.fd, 0, Resolver(("n-red",), servers))
        with (
            Upstreams(host, "127.0.0.3", "192.0.2.1", answers=False) as silent,
            Upstreams(host, "127.0.0.4", "192.0.2.3"),
        ):
            assert await short(box, "example.test") == ["192.0.2.3"]  # .2 refuses, .3 is silent
            before = silent.asked
            assert await short(box, "example.test") == ["192.0.2.3"]
            assert silent.asked <= before + 1


async def test_a_data_plane_that_dies_while_it_is_told_is_told_again(host: Host, tmp_path: Path) -> None:
    told = 0

    async def tell() -> None:
        nonlocal told
        told += 1
        if told < 3:
            os.kill(client.pid, signal.SIGKILL)
        await client.put_names(entry("e1", "web"))

    async with plane(host, tmp_path, on_restart=tell) as client:
        os.kill(client.pid, signal.SIGKILL)
        await client.put_names(entry("e2", "db"))
        assert {e.endpoint for e in (await client.state()).entries} == {"e1", "e2"}
        assert told == 3


async def test_a_failure_to_tell_everything_stops_nothing(host: Host, tmp_path: Path) -> None:
    async def tell() -> None:
        await client.set_resolver("s9", RED)

    async with plane(host, tmp_path, on_restart=tell) as client:
        with pytest.raises(NotFound):
            await tell()
        os.kill(client.pid, signal.SIGKILL)
        await client.put_names(entry("e1", "web"))
        assert [e.endpoint for e in (await client.state()).entries] == ["e1"]


async def test_a_hundred_sandboxes(host: Host, tmp_path: Path) -> None:
    boxes = [Netns() for _ in range(100)]
    try:
        async with plane(host, tmp_path) as client:
            await asyncio.gather(
                *(client.open_sandbox(f"s{i}", box.fd, 0, RED) for i, box in enumerate(boxes)),
                *(client.put_names(entry(f"e{i}", f"c{i}", ipv4=f"10.0.0.{i}")) for i in range(100)),
            )
            assert await short(boxes[0], "c99") == ["10.0.0.99"]
            assert await short(boxes[99], "+tcp", "c0") == ["10.0.0.0"]
            await asyncio.gather(*(client.close_sandbox(f"s{i}") for i in range(100)))
            left = await asyncio.to_thread(os.listdir, f"/proc/{client.pid}/fd")
            assert len(left) < 20
    finally:
        for box in boxes:
            box.close()
