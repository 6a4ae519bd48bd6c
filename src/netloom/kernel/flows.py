"""Connections through published ports: the kernel goes on translating one as it began, whatever the maps say now."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from ipaddress import ip_address

from netloom.firewall.elements import Lead, lead
from netloom.kernel.socket import NetlinkSocket
from netloom.model.desired import Element, Step
from netloom.model.errors import KernelError
from netloom.netlink import conntrack
from netloom.netlink.message import Message

_UDP = 17
_MOST = 32  # ports for each of which the kernel reads its table (0.1 to 2 ms); for more we read it once (10 and more)


def leads(steps: Iterable[Step]) -> list[tuple[str, Lead]]:
    """Where published ports lead, by the verb of the step."""
    return [
        (step.verb, there)
        for step in steps
        if isinstance(step.what, Element) and (there := lead(step.what)) is not None
    ]


def follow(
    netfilter: NetlinkSocket, steps: Iterable[Step], staying: Sequence[Lead] = (), leaving: Collection[bytes] = ()
) -> None:
    """After these steps: what leads where no port leads any more ends, what began before its port came begins anew.

    `staying` lead where they led before, though by another element: a range that has become two. At the addresses
    `leaving` nobody is reached any more. TCP begins anew by itself; a client of UDP goes on as it began. A kernel
    that cannot do it (without ctnetlink) leaves such connections to their timeouts.
    """
    found = leads(steps)
    gone = [there for verb, there in found if verb == "del"]
    moved = [there for verb, there in found if verb == "set"]
    came = [there for verb, there in found if verb == "add" and there.proto == _UDP]
    # By its address the kernel finds a container's connections 20 times as fast as we do in its whole table.
    left = {one.address for one in gone if len(one.address) == 4 and one.address in leaving}
    gone = [one for one in gone if one.address not in left]
    messages = [conntrack.forget_translated(address) for address in left]
    by_filter = _by_filter(gone, moved, came)
    if len(by_filter) > _MOST or staying or any(one.width > 1 for one in (*gone, *moved, *came)):
        for family in {_family(one) for one in (*gone, *moved, *came)}:
            messages += _by_hand(netfilter, family, gone, moved, came, staying)
    else:
        messages += by_filter
    if messages:
        netfilter.request(messages)


Denied = Callable[[int, str, str, int, tuple[str, int]], bool]


def end(netfilter: NetlinkSocket, denied: Denied) -> int:
    """Forget those connections that are denied; how many they were.

    `denied` is told protocol, source, target, the target's port, and the address and the port that were asked for.
    """
    ended = 0
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            found = [conntrack.parse(body) for body in netfilter.dump(conntrack.dump(family))]
        except KernelError:
            return 0  # without ctnetlink
        gone = [
            conntrack.forget(family, one)
            for one in found
            if denied(
                one.proto,
                _text(one.source_address),
                _text(one.target_address),
                one.target_port,
                (_text(one.asked_address), one.asked_port),
            )
        ]
        if gone:
            netfilter.request(gone)
        ended += len(gone)
    return ended


def _text(address: bytes) -> str:
    return str(ip_address(address))


def _by_filter(gone: Sequence[Lead], moved: Sequence[Lead], came: Sequence[Lead]) -> list[Message]:
    """One for each port.

    Of IPv6 addresses the kernel (6.18 and before) takes all but the one that is asked for: see its
    ctnetlink_filter_match_tuple. There the port alone must do.
    """
    messages = [_asked(one, translated=True) for one in (*(g for g in gone if len(g.address) == 16), *moved)]
    messages += [_asked(one, translated=False) for one in came]
    targets = {(one.address, one.proto, one.port) for one in gone if len(one.address) == 4}
    return messages + [conntrack.forget_translated(*target) for target in targets]


def _asked(one: Lead, *, translated: bool) -> Message:
    address = b"" if len(one.address) == 16 else one.host_address
    return conntrack.forget_asked(_family(one), one.proto, one.host_port, address, translated=translated)


class _Ports:
    """Which (protocol, address) has which ports: by itself, or in a range."""

    def __init__(self, rows: Iterable[tuple[int, bytes, int, int]]) -> None:
        """Of protocol, address, first port and how many."""
        self._single: set[tuple[int, bytes, int]] = set()
        self._ranges: dict[tuple[int, bytes], list[range]] = {}
        for proto, address, first, width in rows:
            if width == 1:
                self._single.add((proto, address, first))
            else:
                self._ranges.setdefault((proto, address), []).append(range(first, first + width))

    def has(self, proto: int, address: bytes, port: int) -> bool:
        """Is it one of them?"""
        ranges = self._ranges.get((proto, address), ())
        return (proto, address, port) in self._single or any(port in one for one in ranges)


def _targets(those: Iterable[Lead]) -> _Ports:
    return _Ports((one.proto, one.address, one.port, one.width) for one in those)


def _asked_for(those: Iterable[Lead]) -> _Ports:
    return _Ports((one.proto, one.host_address, one.host_port, one.width) for one in those)


def _by_hand(
    netfilter: NetlinkSocket,
    family: int,
    gone: Sequence[Lead],
    moved: Sequence[Lead],
    came: Sequence[Lead],
    staying: Sequence[Lead],
) -> list[Message]:
    """One for each connection that is meant."""
    ends, stays, led, new = _targets(gone), _targets(staying), _asked_for(moved), _asked_for(came)
    messages = []
    try:
        counted = netfilter.get(conntrack.statistics())
        bodies = netfilter.dump(conntrack.dump(family)) if counted and conntrack.count(counted) else []
    except KernelError:
        return []  # without ctnetlink
    for body in bodies:
        one = conntrack.parse(body)
        target = (one.proto, one.target_address, one.target_port)
        asked = [(one.proto, address, one.asked_port) for address in (one.asked_address, b"")]
        if one.destination_translated:
            meant = (ends.has(*target) and not stays.has(*target)) or any(led.has(*where) for where in asked)
        else:
            meant = one.untouched and any(new.has(*where) for where in asked)
        if meant:
            messages.append(conntrack.forget(family, one))
    return messages


def _family(one: Lead) -> int:
    return socket.AF_INET6 if len(one.address) == 16 else socket.AF_INET
