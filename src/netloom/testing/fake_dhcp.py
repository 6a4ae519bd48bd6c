"""A LAN in memory that speaks DHCP: implements `engine.dhcp_ports.DhcpPorts`. A link hears what `answer` says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from netloom.dhcp.frame import ArpSeen, Datagram

Answer = Callable[[bytes], Iterable[Datagram | ArpSeen]]  # to a frame that a client sends


class FakeDhcp:
    """Nobody answers until `answer` is set; `open_ports` counts what was opened and not closed."""

    def __init__(self, mac: str = "020000000001") -> None:
        self.answer: Answer = lambda frame: ()
        self.mac = bytes.fromhex(mac)
        self.open_ports = 0

    async def open(self, within: Any, index: int, xid: int) -> FakePort:
        """As the real one."""
        self.open_ports += 1
        return FakePort(self)


class FakePort:
    """One conversation. Waiting takes no time."""

    def __init__(self, lan: FakeDhcp) -> None:
        self.mac = lan.mac
        self._lan = lan
        self._seen: deque[Datagram | ArpSeen] = deque()
        self._open = True

    def send(self, frame: bytes) -> None:
        """The LAN hears it at once."""
        self._seen.extend(self._lan.answer(frame))

    async def receive(self, timeout: float) -> Datagram | ArpSeen | None:
        """What was answered."""
        return self._seen.popleft() if self._seen else None

    async def close(self) -> None:
        """Twice is once."""
        self._lan.open_ports -= self._open
        self._open = False
