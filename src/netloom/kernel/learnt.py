"""Addresses that names were answered with, as elements that go by themselves. Used from one thread."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from netloom.firewall.elements import element
from netloom.kernel import elements
from netloom.kernel.socket import NETFILTER, NetlinkSocket
from netloom.model.desired import Element, Step


class Learnt(NamedTuple):
    """`source` may, or may not, reach `target` on this port (no `proto`: on every one)."""

    allow: bool
    source: str
    target: str
    proto: str = ""
    port: int = 0

    @property
    def element(self) -> Element:
        """Without its timeout."""
        family = 6 if ":" in self.target else 4
        kind = "allow" if self.allow else "deny"
        if not self.proto:
            return element(f"{kind}_named{family}", (self.source, self.target))
        return element(f"{kind}_names{family}", (self.source, self.target, self.proto, self.port))


class LearntNames:
    """The sets in the namespace in which this is made."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETFILTER, large=False)

    def close(self) -> None:
        """Close the socket; what was learnt goes in its time."""
        self._socket.close()

    def put(self, learnt: Iterable[Learnt], ttl: int) -> None:
        """Known from now on for `ttl` seconds; what was known already begins anew. Raises KernelError."""
        known = [_lasting(one.element, ttl) for one in learnt]
        elements.apply(self._socket, [Step("set", one) for one in known])

    def forget(self, learnt: Collection[Learnt]) -> None:
        """Gone already is success. Raises KernelError."""
        elements.apply(self._socket, [Step("del", one.element) for one in learnt])


def _lasting(one: Element, ttl: int) -> Element:
    return Element(one.set, one.key_data, family=one.family, timeout=ttl * 1000)
