"""Ports that the process holds, and those that it relays."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
from pathlib import Path

import pytest

from netloom.dataplane.conftest import (
    REDIRECT,
    attached,
    plane,
)
from netloom.dataplane.holding import Holding
from netloom.kernel import namespace
from netloom.model.errors import Failed
from netloom.model.names import HeldPort, Relay
from netloom.testing.hosts import Host, Netns, eventually

pytestmark = pytest.mark.root


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


async def test_relays_ipv6_to_a_container_without(box: Netns, tmp_path: Path) -> None:
    with Host(uplink=True) as host:
        attached(host, box)
        async with plane(host, tmp_path) as client:
            port = (await client.state()).relay_port
            host.run("nft", "-f", "-", stdin=REDIRECT.replace("PORT", str(port)))
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


async def test_one_of_an_owners_ports_goes_and_the_others_stay(host: Host, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        held = [HeldPort("e1", proto, "0.0.0.0", port) for proto in ("tcp", "udp") for port in (8080, 8081)]
        await client.hold(held)
        await client.release("e1", [("tcp", "0.0.0.0", 8080)])
        assert set((await client.state()).held) == set(held[1:])
        with await asyncio.to_thread(host.call, socket.create_server, ("0.0.0.0", 8080)):
            pass
        with pytest.raises(OSError, match="in use"):
            await asyncio.to_thread(host.call, socket.create_server, ("0.0.0.0", 8081))


async def test_more_udp_ports_than_a_message_carries(host: Host, box: Netns, tmp_path: Path) -> None:
    attached(host, box)
    async with plane(host, tmp_path) as client:
        rows = [Relay("e1", "udp", "::", port, "10.1.0.2", port) for port in range(8000, 8500)]
        await client.relay(rows)
        assert set((await client.state()).relays) == set(rows)
        for port in (8000, 8250, 8499):
            with box.serve("0.0.0.0", port, "udp", "box"):
                seen = await asyncio.to_thread(host.ask, "::1", port, "udp")
                assert seen.tag == "box"
        await client.release("e1")
        # All or none: a port in the midst of them is somebody's.
        with host.serve("::", 8400, "udp"):
            with pytest.raises(Failed, match="address already in use"):
                await client.relay(rows)
            assert (await client.state()).relays == ()
            with host.serve("::", 8000, "udp"):
                pass


async def test_relay_carries_bulk_and_half_close(host: Host, box: Netns, tmp_path: Path) -> None:
    attached(host, box)
    async with plane(host, tmp_path) as client:
        host.run("nft", "-f", "-", stdin=REDIRECT.replace("PORT", str((await client.state()).relay_port)))
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


async def test_the_slower_side_sets_the_relays_pace(host: Host, box: Netns, tmp_path: Path) -> None:
    """A client with a small window gets every byte of a fast server, through a pipe that is never empty."""
    attached(host, box)
    async with plane(host, tmp_path) as client:
        host.run("nft", "-f", "-", stdin=REDIRECT.replace("PORT", str((await client.state()).relay_port)))
        await client.relay([Relay("e1", "tcp", "::1", 8080, "10.1.0.2", 80)])
        with box.call(_listening) as server:
            sent = os.urandom(8 << 20)
            sending = asyncio.create_task(asyncio.to_thread(_send_all, server, sent))
            assert await asyncio.to_thread(host.call, _received_slowly) == sent
            await sending


def _send_all(server: socket.socket, data: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(data)


def _received_slowly() -> bytes:
    with socket.socket(socket.AF_INET6) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        client.settimeout(10)
        client.connect(("::1", 8080))
        return b"".join(iter(lambda: client.recv(16 << 10), b""))


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


async def test_ports_side_by_side_are_held_as_if_each_was_by_itself(host: Host, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        both = [HeldPort("e1", "tcp", ip, 20000, width=10000) for ip in ("0.0.0.0", "::")]
        await client.hold(both)
        await client.hold(both)
        for ip in ("0.0.0.0", "::"):  # each has its share of the sockets
            for port in (20000, 20031):
                with pytest.raises(OSError, match="in use"), host.serve(ip, port):
                    pass
        assert sum(port.width for port in (await client.state()).held) == 20000
        with pytest.raises(Failed, match=r"^Bind for 0\.0\.0\.0:25000 failed: port is already allocated$"):
            await client.hold([HeldPort("e2", "tcp", "0.0.0.0", 25000)])
        with pytest.raises(Failed, match=r"^Bind for ::?:?:29999 failed"):
            await client.hold([HeldPort("e2", "tcp", "::", 29999, width=50)])
        await client.release("e1", [("tcp", "0.0.0.0", 20003), ("tcp", "0.0.0.0", 25000)])
        await client.hold([HeldPort("e2", "tcp", "0.0.0.0", port) for port in (20003, 25000)])
        assert sum(port.width for port in (await client.state()).held if port.owner == "e1") == 19998
        await client.release("e1")
        await client.release("e2")
        assert (await client.state()).held == ()


async def test_a_program_in_the_midst_of_ports_side_by_side(host: Host, tmp_path: Path) -> None:
    async with plane(host, tmp_path) as client:
        wide = HeldPort("e1", "tcp", "0.0.0.0", 20000, "172.17.0.3", 30000, width=1000)
        with host.serve("127.0.0.1", 20700), pytest.raises(Failed) as error:
            await client.hold([wide])
        expected = "failed to bind host port for 0.0.0.0:20700:172.17.0.3:30700/tcp: address already in use"
        assert error.value.sentence == expected
        assert (await client.state()).held == ()
        with host.serve("::", 20700):  # the other family
            await client.hold([wide])


async def test_ports_side_by_side_are_relayed(host: Host, box: Netns, tmp_path: Path) -> None:
    attached(host, box)
    async with plane(host, tmp_path) as client:
        port = (await client.state()).relay_port
        rules = REDIRECT.replace("PORT", str(port)).replace("inet_service;", "inet_service; flags interval;")
        host.run("nft", "-f", "-", stdin=rules.replace("8080", "8000-8999"))
        await client.relay([Relay("e1", "tcp", "::", 8000, "10.1.0.2", 9000, width=1000)])

        async def tag(number: int) -> str:
            return (await asyncio.to_thread(host.ask, "::1", number)).tag

        with box.serve("0.0.0.0", 9000, tag="first"), box.serve("0.0.0.0", 9999, tag="last"):
            assert (await tag(8000), await tag(8999)) == ("first", "last")
            await client.release("e1", [("tcp", "::", 8999)])
            assert sum(row.width for row in (await client.state()).relays) == 999
            assert await tag(8000) == "first"
            with pytest.raises(OSError):
                await tag(8999)
            await client.relay([Relay("e1", "tcp", "::", 8000, "10.1.0.2", 9000, width=1000)])
            assert await tag(8999) == "last"
            # Others follow to another place.
            await client.relay([Relay("e1", "tcp", "::", 8998, "10.1.0.2", 9000)])
            assert (await tag(8998), await tag(8999)) == ("first", "last")


async def test_relay_passes_a_refusal_on_and_comes_back_when_killed(host: Host, box: Netns, tmp_path: Path) -> None:
    attached(host, box)
    async with plane(host, tmp_path) as client:
        port = (await client.state()).relay_port
        host.run("nft", "-f", "-", stdin=REDIRECT.replace("PORT", str(port)))
        await client.hold([HeldPort("e1", proto, "::1", 8080) for proto in ("tcp", "udp")])
        await client.relay([Relay("e1", proto, "::1", 8080, "10.1.0.2", 80) for proto in ("tcp", "udp")])
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(host.ask, "::1", 8080)
        os.kill(_child(client.pid), signal.SIGKILL)
        with box.serve("10.1.0.2", 80, "tcp", "box"), box.serve("10.1.0.2", 80, "udp", "box"):
            for proto in ("tcp", "udp"):
                await asyncio.to_thread(eventually, lambda p=proto: host.reaches("::1", 8080, p))  # type: ignore[misc]


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
