"""The addresses of one subnet: who holds which, and which comes next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address
from types import TracebackType

from netloom.ipam.pools import Subnet
from netloom.ipam.slots import Slots
from netloom.model.errors import Exhausted, Forbidden, InvalidArgument

# How many freed addresses are remembered before the oldest is given again although others were never used:
# with it the memory of a /8 or a /64 is bounded by what is held now, not by what was ever held.
REMEMBERED = 1 << 16


class Reserved(str):
    """The holder of an address that no endpoint may have: what the address is, in words."""

    __slots__ = ()


NETWORK = Reserved("the network's own address")
BROADCAST = Reserved("the broadcast address")
ANYCAST = Reserved("the anycast address of the subnet's routers")


class Addresses:
    """An allocator over a subnet, or over a range of it. Addresses are whole numbers.

    Never-used addresses come first, ascending; then the one freed longest ago. Every operation takes constant time
    on average, and memory goes with the addresses that are held or lately freed, some twenty bytes for each, whatever
    the subnet's size.
    """

    def __init__(self, subnet: Subnet, ip_range: Subnet | None = None, *, remembered: int = REMEMBERED) -> None:
        within = ip_range or subnet
        self.subnet = subnet
        self.version = subnet.version
        self._first = max(int(within.network_address), int(subnet.network_address))
        self._last = min(int(within.broadcast_address), int(subnet.broadcast_address))
        self._next = self._first
        self._remembered = remembered
        self._slots = Slots()
        self._held_in_range = 0
        # RFC 3021: a /31 has neither network nor broadcast address. RFC 4291, section 2.6.1: the subnet-router anycast
        # address; a /128 and a /127 lose it too, as Docker has it.
        if subnet.version == 6:
            self._hold(int(subnet.network_address), ANYCAST)
        elif subnet.prefixlen < 31:
            self._hold(int(subnet.network_address), NETWORK)
            self._hold(int(subnet.broadcast_address), BROADCAST)

    @property
    def in_use(self) -> int:
        """How many are held, those included that no endpoint may have."""
        return self._slots.held

    @property
    def available(self) -> int:
        """How many `request` could give."""
        return max(self._last - self._first + 1, 0) - self._held_in_range

    def text(self, address: int) -> str:
        """An address as people write it."""
        return str(IPv4Address(address) if self.version == 4 else IPv6Address(address))

    def holder(self, address: int) -> str | None:
        """Who holds it."""
        return self._slots.holder(address)

    def holders(self) -> Iterator[tuple[int, str]]:
        """Every address that is held, ascending, and who holds it."""
        return self._slots.holders()

    def reserve(self, address: int, owner: str, describe: Callable[[str], str] = str) -> Reservation:
        """Hold this address. One that the same owner holds already is granted again.

        Raises Forbidden when somebody else holds it, InvalidArgument when it is not of this subnet.
        """
        if not int(self.subnet.network_address) <= address <= int(self.subnet.broadcast_address):
            raise InvalidArgument(f"invalid address {self.text(address)}: it does not belong to subnet {self.subnet}")
        holder = self._slots.holder(address)
        if holder is not None:
            if holder == owner and not isinstance(holder, Reserved):
                return Reservation(self, address, undo=None)
            raise Forbidden(
                "Address already in use",
                remedy=f"{self.text(address)} is {_state(holder, describe)}, choose another one or leave it out",
            )
        undo = self._unhold_freed if self._slots.is_freed(address) else self._unhold_unused
        self._hold(address, owner)
        return Reservation(self, address, undo)

    def request(self, owner: str) -> Reservation:
        """Hold the next free address of the range. Raises Exhausted when there is none."""
        if self._slots.freed < self._remembered:
            while self._next <= self._last:
                address = self._next
                self._next += 1
                if self._slots.is_unused(address):
                    self._hold(address, owner)
                    return Reservation(self, address, self._unhold_unused)
        freed = self._slots.oldest()
        if freed is None:
            raise Exhausted("no available addresses on this pool")
        self._hold(freed, owner)
        return Reservation(self, freed, self._unhold_freed)

    def release(self, address: int) -> None:
        """Free an address; one that nobody holds, or that is reserved, stays as it is."""
        holder = self._slots.holder(address)
        if holder is None or isinstance(holder, Reserved):
            return
        if self._in_range(address):
            self._held_in_range -= 1
            self._slots.free(address)
        else:
            self._slots.forget(address)

    def _in_range(self, address: int) -> bool:
        return self._first <= address <= self._last

    def _hold(self, address: int, owner: str) -> None:
        self._slots.hold(address, owner)
        self._held_in_range += self._in_range(address)

    def _unhold_unused(self, address: int) -> None:
        """As if it had never been asked for."""
        if self._first <= address < self._next - 1:
            self._unhold_freed(address)
            return
        self._held_in_range -= self._in_range(address)
        self._slots.forget(address)
        if address == self._next - 1:
            self._next = address

    def _unhold_freed(self, address: int) -> None:
        """Back to the place of the one freed longest ago."""
        self._held_in_range -= self._in_range(address)
        self._slots.free(address, as_oldest=True)


class Reservation:
    """An address that is held until `cancel`; after `confirm` it stays held. As a context, it confirms on success."""

    def __init__(self, addresses: Addresses, address: int, undo: Callable[[int], None] | None) -> None:
        self._undo = undo
        self._address = address
        self.address = f"{addresses.text(address)}/{addresses.subnet.prefixlen}"

    def confirm(self) -> str:
        """Keep it; the address with its prefix length."""
        self._undo = None
        return self.address

    def cancel(self) -> None:
        """Give it back as if it had not been asked for. After `confirm`, or a second time, nothing happens."""
        if self._undo is not None:
            self._undo(self._address)
            self._undo = None

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.confirm()
        else:
            self.cancel()


def _state(holder: str, describe: Callable[[str], str]) -> str:
    return holder if isinstance(holder, Reserved) else f"held by {describe(holder)}"
