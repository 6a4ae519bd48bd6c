"""Packet sockets between two namespaces that a veth pair joins; the server is an ordinary program."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from netloom.dhcp.frame import ALL, ANY, EVERYBODY, ArpSeen, Datagram, datagram, probe
from netloom.kernel.dhcp_ports import DhcpPort, DhcpPorts
from netloom.kernel.namespace import FdNamespace
from netloom.testing.hosts import Netns

pytestmark = pytest.mark.kernel

XID = 0x01020304
INSIDE, OUTSIDE = 77, 78


@pytest.fixture
def lan() -> Iterator[tuple[Netns, Netns]]:
    with Netns() as box, Netns() as outside:
        peer = ("type", "veth", "peer", "name", "wan", "index", str(OUTSIDE), "netns", outside.netns_path)
        box.run("ip", "link", "add", "eth0", "index", str(INSIDE), "up", *peer)
        outside.run("ip", "addr", "add", "10.0.0.1/24", "dev", "wan")
        outside.run("ip", "link", "set", "wan", "up")
        yield box, outside


async def opened(box: Netns, xid: int = XID) -> DhcpPort:
    return await DhcpPorts().open(FdNamespace(box.fd), INSIDE, xid)


def server() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wan")
    made.bind(("0.0.0.0", 67))
    made.settimeout(20)
    return made


def message(xid: int, text: bytes) -> bytes:
    return bytes(4) + xid.to_bytes(4, "big") + text


async def test_a_conversation(lan: tuple[Netns, Netns]) -> None:
    box, outside = lan
    port = await opened(box)
    with outside.call(server) as one:
        port.send(datagram(port.mac, EVERYBODY, ANY, ALL, message(XID, b"who am i")))
        assert await asyncio.to_thread(one.recv, 2048) == message(XID, b"who am i")
        one.sendto(message(XID + 1, b"somebody else"), ("255.255.255.255", 68))
        one.sendto(message(XID, b"to another port"), ("255.255.255.255", 69))
        one.sendto(message(XID, b"you"), ("255.255.255.255", 68))
        seen = await port.receive(20)
        assert isinstance(seen, Datagram)  # its sum is left to a device that a veth has not
        assert (seen.data, socket.inet_ntoa(seen.source)) == (message(XID, b"you"), "10.0.0.1")
        assert seen.mac.hex(":") in outside.run("ip", "link", "show", "wan")
    await port.close()
    await port.close()


async def test_who_has_an_address(lan: tuple[Netns, Netns]) -> None:
    box, _ = lan
    port = await opened(box)
    for address, taken in (("10.0.0.1", True), ("10.0.0.2", False)):
        port.send(probe(port.mac, socket.inet_aton(address)))
        seen = await port.receive(3 if taken else 0.1)
        assert isinstance(seen, ArpSeen) == taken
        assert seen is None or socket.inet_ntoa(seen.sender) == address  # type: ignore[union-attr]
    await port.close()


async def test_a_link_that_is_down_loses_what_is_sent(lan: tuple[Netns, Netns]) -> None:
    box, _ = lan
    port = await opened(box)
    box.run("ip", "link", "set", "eth0", "down")
    port.send(probe(port.mac, bytes(4)))
    assert await port.receive(0.05) is None
    box.run("ip", "link", "del", "eth0")
    port.send(probe(port.mac, bytes(4)))
    assert await port.receive(0.05) is None
    await port.close()


async def test_what_is_not_there(lan: tuple[Netns, Netns]) -> None:
    box, _ = lan
    with pytest.raises(OSError, match="No such device"):
        await DhcpPorts().open(FdNamespace(box.fd), 999, XID)
    gone = FdNamespace(-1)
    with pytest.raises(ProcessLookupError):
        await DhcpPorts().open(gone, INSIDE, XID)


async def test_a_flood_is_bounded(lan: tuple[Netns, Netns]) -> None:
    box, outside = lan
    port = await opened(box)
    with outside.call(server) as one:
        for number in range(300):
            one.sendto(message(XID, b"%d" % number), ("255.255.255.255", 68))
        await asyncio.sleep(0.1)
        count = 0
        while await port.receive(0.1) is not None:
            count += 1
    assert 0 < count < 300
    await port.close()
