"""The process is replaced while it serves."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
from pathlib import Path

import msgspec
import pytest

from netloom.dataplane import protocol as p
from netloom.dataplane.channel import HEADER
from netloom.dataplane.client import DataPlaneClient
from netloom.dataplane.conftest import (
    RED,
    REDIRECT,
    asking,
    attached,
    check_all_answered,
    entry,
    gone,
    plane,
    short,
    sleeper,
)
from netloom.dataplane.control import listen
from netloom.firewall.render import load
from netloom.firewall.rules import ruleset
from netloom.model.names import HeldPort, Relay
from netloom.model.policy import NameRule
from netloom.testing.hosts import Host, Netns, eventually

pytestmark = pytest.mark.root


async def test_nothing_is_lost(host: Host, box: Netns, tmp_path: Path) -> None:
    async def told() -> None:
        raise AssertionError("the successor knows everything: nobody need tell it")

    async with plane(host, tmp_path, on_restart=told) as client:
        process = await asyncio.to_thread(sleeper, box)
        await client.open_sandbox("s1", box.fd, process.pid, RED)
        await client.put_names(entry("e1", "web"))
        await client.hold([HeldPort("e1", "tcp", "0.0.0.0", 8080), HeldPort("e1", "udp", "::", 8080)])
        before = await client.state()
        load = asking(box)
        pids = {client.pid}
        while load.poll() is None:
            old = client.pid
            await client.replace()
            assert await client.state() == before
            assert client.pid != old
            pids.add(client.pid)
            await asyncio.to_thread(eventually, lambda old=old: gone(old))  # type: ignore[misc]
        check_all_answered(load)
        assert len(pids) > 2
        with pytest.raises(OSError, match="in use"), host.serve("0.0.0.0", 8080):
            pass
        process.kill()
        process.wait()
        while (await client.state()).sandboxes:
            await asyncio.sleep(0.01)


async def test_connections_outlive_a_hand_over(host: Host, box: Netns, tmp_path: Path) -> None:
    """One that is made before is finished by the predecessor, over the successor's sockets."""
    question = struct.pack("!7H", 21, 1, 0x100, 1, 0, 0, 0) + b"\3web\0\0\1\0\1"
    async with plane(host, tmp_path) as client:
        await client.open_sandbox("s1", box.fd, 0, RED)
        await client.put_names(entry("e1", "web"))
        with box.call(socket.create_connection, ("127.0.0.11", 53), 10) as one:
            one.sendall(question)
            assert await asyncio.to_thread(one.recv, 1000)
            await client.replace()
            one.sendall(question)
            assert await asyncio.to_thread(one.recv, 1000)
        assert await short(box, "+tcp", "web") == ["172.18.0.2"]


async def test_sockets_of_an_earlier_version_are_served_on(host: Host, box: Netns, tmp_path: Path) -> None:
    """Those of its sandboxes as they are, until they end; what is opened anew takes no port."""
    udp, tcp = (box.call(_bound, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM))
    rules = """table ip netloom_dns {
        chain answers { type filter hook output priority -400;
            ip saddr 127.0.0.11 udp sport UDP udp sport set 53
            ip saddr 127.0.0.11 tcp sport TCP tcp sport set 53
        }
        chain queries { type filter hook output priority 400;
            ip daddr 127.0.0.11 udp dport 53 udp dport set UDP
            ip daddr 127.0.0.11 tcp dport 53 tcp dport set TCP
        }
    }"""
    for word, sock in (("UDP", udp), ("TCP", tcp)):
        rules = rules.replace(word, str(sock.getsockname()[1]))
    box.run("nft", "-f", "-", stdin=rules)
    process = await asyncio.to_thread(sleeper, box)
    with udp, tcp:
        await asyncio.to_thread(_taken_over, host, tmp_path, process.pid, udp, tcp)
    async with plane(host, tmp_path) as client:
        for _ in range(2):
            assert (await client.state()).sandboxes == ("s1",)
            assert await short(box, "web") == ["172.18.0.2"]
            assert await short(box, "+tcp", "web") == ["172.18.0.2"]
            await client.replace()
        host.run("nft", "-f", "-", stdin=load(ruleset()))
        named = msgspec.structs.replace(RED, names=(NameRule("web", True),), senders=("10.0.0.2",))
        await client.set_resolver("s1", named)
        await check_learning(host, box, client)
        await client.close_sandbox("s1")
        await client.open_sandbox("s1", box.fd, process.pid, RED)
        await client.put_names(entry("e1", "web"))
        assert await short(box, "web") == ["172.18.0.2"]
        assert await short(box, "+tcp", "web") == ["172.18.0.2"]
        assert box.run("ss", "-Hlntu").strip() == ""
        process.kill()
        process.wait()
        while (await client.state()).sandboxes:
            await asyncio.sleep(0.01)


async def check_learning(host: Host, box: Netns, client: DataPlaneClient) -> None:
    """The firewall knows before the container does, by both protocols, and until the sandbox ends."""
    for words in ((), ("+tcp",)):
        host.run("nft", "flush", "set", "inet", "netloom", "allow_named4")
        assert await short(box, *words, "web") == ["172.18.0.2"]
        assert "10.0.0.2 . 172.18.0.2" in host.run("nft", "list", "set", "inet", "netloom", "allow_named4")
    await client.replace()
    assert "10.0.0.2 . 172.18.0.2" in host.run("nft", "list", "set", "inet", "netloom", "allow_named4")


async def test_names_of_policies_are_learnt_by_every_road(host: Host, box: Netns, tmp_path: Path) -> None:
    host.run("nft", "-f", "-", stdin=load(ruleset()))
    named = msgspec.structs.replace(RED, names=(NameRule("web", True),), senders=("10.0.0.2",))
    async with plane(host, tmp_path) as client:
        await client.open_sandbox("s1", box.fd, 0, RED)
        await client.put_names(entry("e1", "web"))
        assert await short(box, "web") == ["172.18.0.2"]
        await client.set_resolver("s1", named)
        await check_learning(host, box, client)
        await client.close_sandbox("s1")
        assert "elements" not in host.run("nft", "list", "set", "inet", "netloom", "allow_named4")


def _bound(kind: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    sock.bind(("127.0.0.11", 0))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


def _taken_over(host: Host, run_dir: Path, pid: int, udp: socket.socket, tcp: socket.socket) -> None:
    """Be the data plane of an earlier version, with one sandbox, until a successor has everything."""
    pidfd, lock = os.pidfd_open(pid), os.open(run_dir / "dataplane.lock", os.O_RDWR | os.O_CREAT, 0o600)
    with listen(run_dir / p.SOCKET) as listener:
        listener.setblocking(True)
        command = (sys.executable, "-m", "netloom.dataplane", "--run-dir", str(run_dir), "--takeover")
        with (run_dir / "dataplane.log").open("wb") as log:
            host.popen(*command, stderr=log)
        successor, _ = listener.accept()
        with successor:
            for message, fds in (
                (p.HandRelays(()), []),
                (p.HandNames((entry("e1", "web"),)), []),
                (p.HandSandbox("s1", pid, RED), [udp.fileno(), tcp.fileno(), pidfd]),
                (p.HandControl("abc"), [listener.fileno(), lock]),
            ):
                frame = p.encode(message)
                socket.send_fds(successor, [HEADER.pack(len(frame), len(fds)) + frame], fds)
            taken = p.encode(p.Taken())
            said = b""
            while more := successor.recv(1000):
                said += more
            assert said.endswith(taken)
    os.close(pidfd)
    os.close(lock)


async def test_an_upgrade_replaces_it(host: Host, box: Netns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with plane(host, tmp_path) as client:
        await client.open_sandbox("s1", box.fd, 0, RED)
        await client.close()
        async with plane(host, tmp_path) as same:
            assert (same.pid, same.fresh) == (client.pid, False)
            await same.close()
            monkeypatch.setattr("netloom.dataplane.client.__version__", "another")
            async with plane(host, tmp_path) as upgraded:
                assert upgraded.pid != client.pid
                assert (await upgraded.state()).sandboxes == ("s1",)


async def test_a_daemon_that_leaves_ends_only_what_holds_nothing(host: Host, box: Netns, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        await client.open_sandbox("s1", box.fd, 0, RED)
        await client.leave()
        assert not gone(client.pid)
    async with plane(host, tmp_path) as client:
        await client.hold([HeldPort("e1", "tcp", "0.0.0.0", 8080)])
        await client.leave()
        assert not gone(client.pid)
    async with plane(host, tmp_path) as client:
        await client.leave()
        assert gone(client.pid)
        async with plane(host, tmp_path) as following:
            assert following.fresh


async def test_relayed_connections_go_on_and_new_ones_are_served(host: Host, box: Netns, tmp_path: Path) -> None:
    attached(host, box)
    async with plane(host, tmp_path) as client:
        host.run("nft", "-f", "-", stdin=REDIRECT.replace("PORT", str((await client.state()).relay_port)))
        await client.hold([HeldPort("e1", "udp", "::1", 8080)])
        await client.relay([Relay("e1", proto, "::1", 8080, "10.1.0.2", 80) for proto in ("tcp", "udp")])
        with box.call(socket.create_server, ("10.1.0.2", 80)) as server:
            server.settimeout(10)
            with host.call(socket.create_connection, ("::1", 8080), 10) as one:
                far, _ = await asyncio.to_thread(server.accept)
                with far:
                    await client.replace()
                    await client.state()
                    one.sendall(b"still here")
                    assert await asyncio.to_thread(far.recv, 100) == b"still here"
            with host.call(socket.create_connection, ("::1", 8080), 10) as two:
                far, _ = await asyncio.to_thread(server.accept)
                with far:
                    far.sendall(b"new")
                    assert await asyncio.to_thread(two.recv, 100) == b"new"
        with box.serve("10.1.0.2", 80, "udp", "box"):
            await asyncio.to_thread(eventually, lambda: host.reaches("::1", 8080, "udp"))


async def test_predecessor_serves_on_when_the_successor_dies(host: Host, box: Netns, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        await client.open_sandbox("s1", box.fd, 0, RED)
        await client.put_names(entry("e1", "web"))
        with socket.socket(socket.AF_UNIX) as successor:
            successor.settimeout(20)
            successor.connect(str(tmp_path / p.SOCKET))
            hello = p.encode(p.Hello(p.HANDOVER, "successor"))
            successor.sendall(HEADER.pack(len(hello), 0) + hello)
            await asyncio.to_thread(successor.recv, 1000)
        assert await short(box, "web") == ["172.18.0.2"]
        assert await short(box, "+tcp", "web") == ["172.18.0.2"]
        assert (await client.state()).sandboxes == ("s1",)


@pytest.mark.parametrize(
    "raw",
    [
        b"\0\0\0\5\0hello",
        b"\xff\xff\xff\xff\0",
        b"\0\0\0\1\xff\xc0",
        struct.pack("!IB", 0, 1),
        HEADER.pack(len(p.encode(p.GetState(1))), 0) + p.encode(p.GetState(1)),  # before the hello
    ],
)
async def test_garbage_on_the_control_socket_drops_only_its_sender(host: Host, tmp_path: Path, raw: bytes) -> None:
    async with plane(host, tmp_path) as client:
        with socket.socket(socket.AF_UNIX) as other:
            other.settimeout(20)
            other.connect(str(tmp_path / p.SOCKET))
            other.sendall(raw)
            while await asyncio.to_thread(other.recv, 1000):
                pass
        assert (await client.state()).sandboxes == ()


async def test_other_users_are_not_let_in(host: Host, tmp_path: Path) -> None:
    async with plane(host, tmp_path):
        assert (tmp_path / p.SOCKET).stat().st_mode & 0o777 == 0o600


async def test_one_daemon_at_a_time(host: Host, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as first:
        with socket.socket(socket.AF_UNIX) as second:
            second.settimeout(20)
            second.connect(str(tmp_path / p.SOCKET))
            hello = p.encode(p.Hello(p.VERSION, "daemon"))
            second.sendall(HEADER.pack(len(hello), 0) + hello)
            said = b""
            while more := await asyncio.to_thread(second.recv, 1000):
                said += more
            assert b"another daemon is connected" in said
        await first.state()


async def test_end_by_signal_leaves_nothing(host: Host, box: Netns, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        await client.open_sandbox("s1", box.fd, 0, RED)
        pid = client.pid
        await client.close()
        os.kill(pid, signal.SIGTERM)
        await asyncio.to_thread(eventually, lambda: gone(pid))
        assert not (tmp_path / p.SOCKET).exists()
        assert "Traceback" not in (tmp_path / "dataplane.log").read_text()


async def test_a_process_that_nobody_can_find_ends(host: Host, tmp_path: Path) -> None:
    async with plane(host, tmp_path / "run") as client:
        pid = client.pid
        await client.close()
        (tmp_path / "run").rename(tmp_path / "moved")
        async with plane(host, tmp_path / "run") as other:
            await asyncio.to_thread(eventually, lambda: gone(pid))
            await other.state()
