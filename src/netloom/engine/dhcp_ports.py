"""The seam by which DHCP is spoken: links inside sandboxes. `kernel.dhcp_ports` has the real one, `testing` a fake."""

from __future__ import annotations

from typing import Protocol

from netloom.dhcp.frame import ArpSeen, Datagram
from netloom.engine.ports import Namespace


class DhcpPort(Protocol):
    """A link inside a sandbox on which one conversation is held."""

    mac: bytes  # the link's own

    def send(self, frame: bytes) -> None:
        """One that the link does not take is lost, as any frame may be."""
        ...

    async def receive(self, timeout: float) -> Datagram | ArpSeen | None:
        """The next answer, or ARP; None when there was none within so many seconds."""
        ...

    async def close(self) -> None:
        """Let go of the link. Twice is once."""
        ...


class DhcpPorts(Protocol):
    """Opens links inside sandboxes. Used from the event loop."""

    async def open(self, within: Namespace, index: int, xid: int) -> DhcpPort:
        """For the conversation with this id. Raises ProcessLookupError when the sandbox has ended, OSError when the
        link is not there.
        """
        ...
