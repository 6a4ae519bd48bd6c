"""Which subnets of one family are taken by which network."""

from __future__ import annotations

from bisect import bisect_left, insort

from netloom.ipam.intervals import Intervals
from netloom.ipam.pools import Subnet


class Occupied:
    """Subnets that never overlap, found by bisection."""

    def __init__(self) -> None:
        self.ranges = Intervals()
        self._entries: list[tuple[int, int, str]] = []  # first, last, owner; sorted

    def add(self, subnet: Subnet, owner: str) -> None:
        """Take a subnet that `meeting` found free."""
        first, last = int(subnet.network_address), int(subnet.broadcast_address)
        insort(self._entries, (first, last, owner))
        self.ranges.add(first, last)

    def remove(self, subnet: Subnet, owner: str) -> None:
        """Let it go; one that is not there is success."""
        first, last = int(subnet.network_address), int(subnet.broadcast_address)
        at = bisect_left(self._entries, (first, last, owner))
        if at < len(self._entries) and self._entries[at] == (first, last, owner):
            del self._entries[at]
            self.ranges.remove(first, last)

    def meeting(self, subnet: Subnet) -> tuple[int, int, str] | None:
        """First and last address and owner of a taken subnet that shares an address with this one."""
        first, last = int(subnet.network_address), int(subnet.broadcast_address)
        at = bisect_left(self._entries, (first,))
        # the entry before may reach into the subnet; entries are disjoint, so no earlier one can
        for entry in self._entries[max(at - 1, 0) : at + 1]:
            if entry[0] <= last and first <= entry[1]:
                return entry
        return None

    def all_meeting(self, subnet: Subnet) -> list[tuple[int, int, str]]:
        """The same of every one, in order."""
        first, last = int(subnet.network_address), int(subnet.broadcast_address)
        low = bisect_left(self._entries, (first,))
        if low and self._entries[low - 1][1] >= first:
            low -= 1
        return self._entries[low : bisect_left(self._entries, (last + 1,))]
