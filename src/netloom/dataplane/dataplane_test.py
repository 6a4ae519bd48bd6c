"""The process, its client, real namespaces and real queries."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from netloom.dataplane.client import DataPlaneClient
from netloom.dataplane.holding import Holding
from netloom.dns import message as m
from netloom.dns.rdata.a import A
from netloom.kernel import namespace
from netloom.model.errors import Failed, NotFound
from netloom.model.names import HeldPort, NameEntry, Relay, Resolver, Upstream
from netloom.testing.hosts import Host, Netns, eventually

pytestmark = pytest.mark.root

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
    """Remembers every process that it was connected to."""

    def __init__(self, *args: object, **options: object) -> None:
        self.seen: list[int] = []
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def __setattr__(self, name: str, value: object) -> None:
        if name == "pid" and value:
            self.seen.append(value)  # type: ignore[arg-type]
        super().__setattr__(name, value)


@asynccontextmanager
async def plane(host: Netns, run_dir: Path, **options: object) -> AsyncIterator[DataPlaneClient]:
    """A client of a data plane that lives in `host`; both are ended afterwards."""
    command = ("nsenter", f"--net={host.netns_path}", "--", sys.executable, "-m", "netloom.dataplane")
    client = Client(run_dir, command=command, **options)  # type: ignore[arg-type]
    await client.start()
    try:
        yield client
    finally:
        await client.close()
        for pid in client.seen:
            if not _gone(pid):
                os.kill(pid, signal.SIGTERM)
                await asyncio.to_thread(eventually, lambda pid=pid: _gone(pid))  # type: ignore[misc]


def _gone(pid: int) -> bool:
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
    return await asyncio.to_thread(box.run, "dig", "+tries=1", "+time=2", "@127.0.0.11", *words, check=False)


async def short(box: Netns, *words: str) -> list[str]:
    return (await dig(box, "+short", *words)).split()


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


def sleeper(box: Netns) -> subprocess.Popen[bytes]:
    """A process that lives in the box."""
    process = box.popen("sleep", "1000")
    eventually(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
    return process


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
_ASKING = """
import socket, struct, sys, time
query = lambda n: struct.pack("!6H", n, 0x100, 1, 0, 0, 0) + b"\\3web\\0\\0\\1\\0\\1"
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
asked = lost = 0
end = time.monotonic() + 2
while time.monotonic() < end:
    for sock in socks:
        sock.settimeout(4)
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


def asking(box: Netns) -> subprocess.Popen[str]:
    """Queries from inside for two seconds."""
    return box.popen(sys.executable, "-c", _ASKING, stdout=subprocess.PIPE, text=True)


def check_all_answered(load: subprocess.Popen[str]) -> None:
    """The queries of `asking` were all answered, and were many."""
    assert load.stdout is not None
    asked, lost = (int(word) for word in load.stdout.read().split())
    assert asked > 100
    assert lost == 0


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


async def test_held_ports_keep_programs_out(host: Host, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        ports = [HeldPort("e1", proto, ip, 8080) for proto in ("tcp", "udp") for ip in ("0.0.0.0", "::")]
        await client.hold(ports)
        await client.hold(ports)
        for proto, ip in (("tcp", "0.0.0.0"), ("udp", "0.0.0.0"), ("tcp", "::"), ("udp", "::")):
            with pytest.raises(OSError, match="Address already in use"), host.serve(ip, 8080, proto):  # type: ignore[arg-type]
                pass
        with pytest.raises(Failed, match=r"^Bind for 0\.0\.0\.0:8080 failed: port is already allocated$"):
            await client.hold([HeldPort("e2", "tcp", "0.0.0.0", 8080)])
        await client.release("e1")
        with host.serve("0.0.0.0", 8080):
            pass
        assert (await client.state()).held == ()


async def test_ports_of_programs_are_refused_all_or_none(host: Host, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        with host.serve("0.0.0.0", 8080):
            wanted = [
                HeldPort("e1", "tcp", "0.0.0.0", 8081, "172.17.0.2", 80),
                HeldPort("e1", "tcp", "0.0.0.0", 8080, "172.17.0.2", 80),
            ]
            sentence = "^failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use"
            with pytest.raises(Failed, match=sentence):
                await client.hold(wanted)
            with host.serve("0.0.0.0", 8081):
                pass
        with host.serve("::", 8080), pytest.raises(Failed, match=r"\[::\]:8080:172.17.0.2:80/tcp: address already"):
            await client.hold([HeldPort("e1", "tcp", "::", 8080, "172.17.0.2", 80)])
        sentence = "failed to bind host port for 203.0.113.9:18081:172.17.0.3:80/tcp: cannot assign requested address"
        with pytest.raises(Failed, match=sentence):
            await client.hold([HeldPort("e1", "tcp", "203.0.113.9", 18081, "172.17.0.3", 80)])


async def test_time_wait_is_no_conflict_and_is_held_later(host: Host, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        with host.serve("127.0.0.1", 8080):
            await asyncio.to_thread(host.ask, "127.0.0.1", 8080)  # the server closes first
        assert "TIME-WAIT" in host.run("ss", "-tan")
        await client.hold([HeldPort("e1", "tcp", "0.0.0.0", 8080)])
        assert [port.port for port in (await client.state()).held] == [8080]


_REDIRECT = """
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


async def test_relays_ipv6_to_a_container_without(box: Netns, tmp_path: Path) -> None:
    with Host(uplink=True) as host:
        attached(host, box)
        async with plane(host, tmp_path) as client:
            port = (await client.state()).relay_port
            host.run("nft", "-f", "-", stdin=_REDIRECT.replace("PORT", str(port)))
            held = [HeldPort("e1", proto, "::", 8080) for proto in ("tcp", "udp")]
            await client.hold(held)
            rows = [Relay("e1", proto, "::", 8080, "10.1.0.2", 80) for proto in ("tcp", "udp")]
            await client.relay(rows)
            assert set((await client.state()).relays) == set(rows)
            with box.serve("0.0.0.0", 80, "tcp", "box"), box.serve("0.0.0.0", 80, "udp", "box"):
                for proto in ("tcp", "udp"):
                    for where, address in ((host, "::1"), (host, host.address6), (host.outside, host.address6)):
                        seen = await asyncio.to_thread(where.ask, address, 8080, proto)  # type: ignore[arg-type]
                        assert (seen.address, seen.tag) == ("10.1.0.1", "box"), (proto, address)
                reaches = await asyncio.to_thread(host.outside.reaches, host.address6, port)
                assert not reaches, "the relay's own port is closed"
                await client.release("e1")
                await client.hold(held)  # at once
                await client.release("e1")
                for proto in ("tcp", "udp"):
                    assert not await asyncio.to_thread(host.reaches, "::1", 8080, proto)  # type: ignore[arg-type]


async def test_relay_carries_bulk_and_half_close(host: Host, box: Netns, tmp_path: Path) -> None:
    attached(host, box)
    async with plane(host, tmp_path) as client:
        host.run("nft", "-f", "-", stdin=_REDIRECT.replace("PORT", str((await client.state()).relay_port)))
        await client.relay([Relay("e1", "tcp", "::1", 8080, "10.1.0.2", 80)])
        server = box.call(_listening)
        with server:
            echo = asyncio.create_task(asyncio.to_thread(_echo_after_eof, server))
            sent = os.urandom(5 << 20)
            got = await asyncio.to_thread(host.call, _exchange, sent)
            assert got == sent
            await echo


def _listening() -> socket.socket:
    server = socket.create_server(("10.1.0.2", 80))
    server.settimeout(10)
    return server


def _echo_after_eof(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection, connection.makefile("rwb") as stream:
        stream.write(stream.read())


def _exchange(data: bytes) -> bytes:
    with socket.create_connection(("::1", 8080), timeout=10) as client, client.makefile("rwb") as stream:
        stream.write(data)
        stream.flush()
        client.shutdown(socket.SHUT_WR)
        return stream.read()


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


async def test_a_port_behind_time_wait_is_held_in_the_end(host: Host) -> None:
    """In this process: the kernel's minute is not waited for, the socket in the way is closed by hand."""
    home = namespace.open_own()
    namespace.setns(host.fd)
    try:
        holding = Holding(asyncio.get_running_loop())
        with socket.create_server(("127.0.0.1", 8080)) as server:
            client = socket.create_connection(("127.0.0.1", 8080))
            accepted, _ = server.accept()
        port = HeldPort("e1", "tcp", "0.0.0.0", 8080)
        holding.hold([port])  # an established connection whose listener has gone
        assert list(holding.held()) == [(port, None, True)]
        for sock in (client, accepted):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        holding.retry()
        assert [(sock is None, pending) for _, sock, pending in holding.held()] == [(False, False)]
        holding.close()
        with pytest.raises(Failed, match="another program"):
            _hold_twice()
    finally:
        namespace.setns(home)
        os.close(home)


def _hold_twice() -> None:
    """A socket that is bound and does not listen is in no table of the kernel's; still it has the port."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 8081))
        Holding(asyncio.get_running_loop()).hold([HeldPort("e1", "tcp", "127.0.0.1", 8081)])


async def test_only_64_ports_of_an_owner_are_held_and_all_are_checked(host: Host, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        await client.hold([HeldPort("e1", "tcp", "0.0.0.0", port) for port in range(20000, 20100)])
        with pytest.raises(OSError, match="in use"), host.serve("0.0.0.0", 20063):
            pass
        with host.serve("0.0.0.0", 20064):
            pass
        with host.serve("0.0.0.0", 21099), pytest.raises(Failed, match=r":21099/tcp: address already in use"):
            await client.hold([HeldPort("e2", "tcp", "0.0.0.0", port) for port in range(21000, 21100)])
        assert {port.owner for port in (await client.state()).held} == {"e1"}


async def test_relay_passes_a_refusal_on_and_comes_back_when_killed(host: Host, box: Netns, tmp_path: Path) -> None:
    attached(host, box)
    async with plane(host, tmp_path) as client:
        port = (await client.state()).relay_port
        host.run("nft", "-f", "-", stdin=_REDIRECT.replace("PORT", str(port)))
        await client.relay([Relay("e1", proto, "::1", 8080, "10.1.0.2", 80) for proto in ("tcp", "udp")])
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(host.ask, "::1", 8080)
        os.kill(_child(client.pid), signal.SIGKILL)
        with box.serve("10.1.0.2", 80, "tcp", "box"), box.serve("10.1.0.2", 80, "udp", "box"):
            for proto in ("tcp", "udp"):
                await asyncio.to_thread(eventually, lambda p=proto: host.reaches("::1", 8080, p))  # type: ignore[misc]


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


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
