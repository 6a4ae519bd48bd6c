"""127.0.0.11 takes no port, and answers whoever is inside and nobody else."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from netloom.dataplane import capture
from netloom.dataplane.client import DataPlaneClient
from netloom.dataplane.conftest import RED, entry, plane, short
from netloom.dataplane.packets_test import ip, tcp, udp
from netloom.model.names import DnsCounts, Resolver
from netloom.testing.hosts import Host, Netns

pytestmark = pytest.mark.root

ANSWER = ["172.18.0.2"]
WEB = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"\3web\0\0\1\0\1"


async def served(client: DataPlaneClient, box: Netns) -> None:
    await client.open_sandbox("s1", box.fd, 0, RED)
    await client.put_names(entry("e1", "web"))


async def check_names(box: Netns) -> None:
    """They resolve by UDP and by TCP."""
    assert await short(box, "web") == ANSWER
    assert await short(box, "+tcp", "web") == ANSWER


async def counts(client: DataPlaneClient) -> DnsCounts:
    ((_, found),) = (await client.sight("n-red")).counts
    return found


async def test_no_port_is_taken_in_any_family(host: Host, box: Netns, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        await served(client, box)
        await check_names(box)
        assert box.run("ss", "-Hlntu").strip() == ""
        assert box.run("ss", "-Hant", "state", "established").strip() == ""


async def test_other_addresses_of_the_sandbox_ask_too(host: Host, box: Netns, tmp_path: Path) -> None:
    box.run("ip", "-batch", "-", stdin="link add v0 type veth\naddr add 172.18.0.9/24 dev v0\nlink set v0 up\n")
    for name in ("all", "lo", "v0"):
        box.sysctl(f"net/ipv4/conf/{name}/rp_filter", "1")
    async with plane(host, tmp_path) as client:
        await served(client, box)
        for source in ("172.18.0.9", "127.0.0.7", "127.0.0.11"):
            assert await short(box, "-b", source, "web") == ANSWER
            assert await short(box, "-b", source, "+tcp", "web") == ANSWER


async def test_a_flushed_ruleset_and_a_lo_that_was_down_change_nothing(host: Host, box: Netns, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        await served(client, box)
        box.run("nft", "flush", "ruleset")
        await check_names(box)
        with box.serve("0.0.0.0", 53, "udp"), box.serve("0.0.0.0", 53, "tcp"):
            await check_names(box)
        box.run("ip", "link", "set", "lo", "down")
        box.run("ip", "link", "set", "lo", "up")
        await check_names(box)


async def test_what_earlier_versions_left_is_replaced(host: Host, box: Netns, tmp_path: Path) -> None:
    box.run("nft", "-f", "-", stdin="table ip netloom_dns { chain old { type filter hook output priority 0; drop; }; }")
    async with plane(host, tmp_path) as client:
        await served(client, box)
        await check_names(box)


async def test_a_client_that_has_gone_costs_no_other_its_answer(host: Host, box: Netns, tmp_path: Path) -> None:
    """The kernel tells of a closed port; a connected socket would fail with that the next time it sends."""
    async with plane(host, tmp_path) as client:
        await served(client, box)
        await asyncio.to_thread(box.call, _ask_beside_leavers)


def _ask_beside_leavers() -> None:
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stays:
        stays.settimeout(20)
        for _ in range(20):
            raw.sendto(ip(udp(WEB)), ("127.0.0.11", 0))  # from a port where nobody is
            stays.sendto(WEB, ("127.0.0.11", 53))
            assert stays.recv(600)[-4:] == socket.inet_aton("172.18.0.2")


async def test_a_kernel_without_lasting_tables(box: Netns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux before 6.9: the table is there, but can be flushed."""
    monkeypatch.setattr(capture, "_PERSIST", 1 << 20)
    for _ in range(2):
        with box.call(capture.guard):
            assert "udp dport 53" in box.run("nft", "list", "ruleset")
    box.run("nft", "flush", "ruleset")
    assert box.run("nft", "list", "ruleset") == ""


async def test_hostile_packets_on_lo_are_nothing_or_malformed(host: Host, box: Netns, tmp_path: Path) -> None:
    dropped = [
        ip(udp(WEB, 7)),
        ip(udp(WEB, 2000)),
        ip(udp(WEB)[:6]),
        ip(b""),
        ip(b"", 6),
        ip(tcp()[:19], 6),
        ip(tcp(flags=0), 6),
        ip(tcp(flags=0xFF), 6),
        ip(tcp(WEB, flags=0x18), 6),  # of no connection
        ip(udp(WEB), 253),
        ip(udp(WEB), 253, ttl=17),  # as if it had been one
        fragment(ip(udp(WEB)), 0x2000),
        fragment(ip(udp(WEB)), 0x0001),
        moved(ip(udp(WEB)), 53, "127.0.0.11"),  # its answer would be a query again
        moved(ip(udp(WEB)), 40000, "198.51.100.7"),  # there is no way to answer but by lo
        moved(ip(tcp(), 6), 40000, "198.51.100.7"),
        moved(ip(tcp(), 6), 53, "240.0.0.1"),
    ]
    taken = [ip(udp(WEB), options=b"\1\1\1\0"), ip(udp(b"")), ip(udp(b"\0" * 12)), ip(udp(b"x" * 5000))]
    box.run("ip", "-batch", "-", stdin="link add v0 type veth\naddr add 172.18.0.9/24 dev v0\nlink set v0 up\n")
    box.run("ip", "route", "add", "default", "dev", "v0")
    async with plane(host, tmp_path) as client:
        await served(client, box)
        with box.call(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for packet in (*dropped, *taken):
                raw.sendto(packet, ("127.0.0.11", 0))
        await check_names(box)
        found = await counts(client)
        assert found.queries == len(taken) + 2 + 2  # two that cannot be answered, and those of the check
        assert found.malformed == 3


def fragment(packet: bytes, offset: int) -> bytes:
    return packet[:6] + struct.pack("!H", offset) + packet[8:]


def moved(packet: bytes, port: int, source: str) -> bytes:
    """The same from another client."""
    return packet[:12] + socket.inet_aton(source) + packet[16:20] + struct.pack("!H", port) + packet[22:]


@pytest.mark.parametrize("localnet", ["0", "1"])
async def test_nobody_outside_is_heard(host: Host, box: Netns, tmp_path: Path, localnet: str) -> None:
    """Even if the sandbox takes packets to 127.0.0.0/8 from outside: they come in by another interface than lo."""
    host.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "eth0", "netns", box.netns_path)
    host.run("ip", "-batch", "-", stdin="addr add 10.1.0.1/24 dev v0\nlink set v0 up")
    box.run("ip", "-batch", "-", stdin="addr add 10.1.0.2/24 dev eth0\nlink set eth0 up")
    box.sysctl("net/ipv4/conf/eth0/route_localnet", localnet)
    (link,) = json.loads(box.run("ip", "-j", "link", "show", "eth0"))
    mac = bytes.fromhex(link["address"].replace(":", ""))
    async with plane(host, tmp_path) as client:
        await served(client, box)
        with host.call(socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM, 0) as wire:
            for packet in (moved(ip(udp(WEB)), 40000, "10.1.0.1"), moved(ip(udp(WEB)), 40000, "127.0.0.1")):
                wire.sendto(packet, ("v0", 0x0800, 0, 0, mac))
        await check_names(box)
        assert (await counts(client)).queries == 2


async def test_connections_of_sandboxes_are_kept_apart(host: Host, box: Netns, tmp_path: Path) -> None:
    """The same client address and port in two sandboxes; many clients at once; one that never fetches its answers."""
    with Netns() as other:
        async with plane(host, tmp_path) as client:
            await served(client, box)
            await client.open_sandbox("s2", other.fd, 0, Resolver(networks=("n-blue",)))
            await client.put_names(entry("e2", "web", network="blue", ipv4="172.19.0.2"))
            with box.call(_connected, 40000) as one, other.call(_connected, 40000) as two:
                assert await asyncio.to_thread(_asked, one, WEB) == socket.inet_aton("172.18.0.2")
                assert await asyncio.to_thread(_asked, two, WEB) == socket.inet_aton("172.19.0.2")
            with box.call(_connected, 0) as greedy:
                greedy.setblocking(False)
                for _ in range(10000):
                    try:
                        greedy.send(len(WEB).to_bytes(2) + WEB)
                    except BlockingIOError:
                        break
                crowd = [other.popen(*_DIG, stdout=subprocess.PIPE) for _ in range(20)]
                for one_of_them in crowd:
                    said, _ = await asyncio.to_thread(one_of_them.communicate)
                    assert said.split() == [b"172.19.0.2"]


_DIG = ("dig", "+short", "+tcp", "@127.0.0.11", "web")


def _connected(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(10)
    sock.bind(("127.0.0.1", port))
    sock.connect(("127.0.0.11", 53))
    return sock


def _asked(sock: socket.socket, query: bytes) -> bytes:
    """The address in the answer: its last four bytes."""
    sock.sendall(len(query).to_bytes(2) + query)
    with sock.makefile("rb") as stream:
        return stream.read(int.from_bytes(stream.read(2)))[-4:]


async def test_a_large_answer_arrives_whole(host: Host, box: Netns, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        await client.open_sandbox("s1", box.fd, 0, RED)
        for number in range(3000):
            await client.put_names(entry(f"e{number}", "many", ipv4=f"10.9.{number // 250}.{number % 250}"))
        assert len(await short(box, "+tcp", "many")) == 3000
        assert len(await short(box, "many")) == 3000  # truncated, and asked again
