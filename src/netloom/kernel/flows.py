"""Connections through published ports: the kernel goes on translating one as it began, whatever the maps say now."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address

from netloom.firewall.elements import Lead, lead
from netloom.kernel.socket import NetlinkSocket
from netloom.model.desired import Element, Step
from netloom.model.errors import KernelError
from netloom.netlink import conntrack
from netloom.netlink.message import Message

_UDP = 17
_MOST = 32  # ports for each of which the kernel reads its whole table (0.1 to 2 ms); for more we read it once ourselves


def follow(netfilter: NetlinkSocket, steps: Iterable[Step]) -> None:
    """After these steps: what leads where no port leads any more ends, what began before its port came begins anew.

    TCP begins anew by itself; a client of UDP goes on as it began. A kernel that cannot do it (without ctnetlink)
    leaves such connections to their timeouts.
    """
    leads = [
        (step.verb, there)
        for step in steps
        if isinstance(step.what, Element) and (there := lead(step.what)) is not None
    ]
    gone = [there for verb, there in leads if verb == "del"]
    moved = [there for verb, there in leads if verb == "set"]
    came = [there for verb, there in leads if verb == "add" and there.proto == _UDP]
    if not (gone or moved or came):
        return
    messages = _by_filter(gone, moved, came)
    if len(messages) > _MOST:
        messages = [
            m
            for family in {_family(one) for one in (*gone, *moved, *came)}
            for m in _by_hand(netfilter, family, gone, moved, came)
        ]
    if messages:
        netfilter.request(messages)


def end(netfilter: NetlinkSocket, denied: Callable[[int, str, str, int], bool]) -> int:
    """Forget the connections of which (protocol, source, target, the target's port) is denied; how many they were."""
    ended = 0
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            found = [conntrack.parse(body) for body in netfilter.dump(conntrack.dump(family))]
        except KernelError:
            return 0  # without ctnetlink
        gone = [
            conntrack.forget(family, one)
            for one in found
            if denied(one.proto, _text(one.source_address), _text(one.target_address), one.target_port)
        ]
        if gone:
            netfilter.request(gone)
        ended += len(gone)
    return ended


def _text(address: bytes) -> str:
    return str(ip_address(address))


def _by_filter(gone: Sequence[Lead], moved: Sequence[Lead], came: Sequence[Lead]) -> list[Message]:
    """One for each container whose IPv4 ports go, and for each other port.

    Of IPv6 addresses the kernel (6.18 and before) takes all but the one that is asked for: see its
    ctnetlink_filter_match_tuple. There the port alone must do.
    """
    messages = [_asked(one, translated=True) for one in (*(g for g in gone if len(g.address) == 16), *moved)]
    messages += [_asked(one, translated=False) for one in came]
    by_target: dict[bytes, set[tuple[int, int]]] = {}
    for one in gone:
        if len(one.address) == 4:
            by_target.setdefault(one.address, set()).add((one.proto, one.port))
    for address, ports in by_target.items():
        messages.append(conntrack.forget_translated(address, *(ports.pop() if len(ports) == 1 else ())))
    return messages


def _asked(one: Lead, *, translated: bool) -> Message:
    address = b"" if len(one.address) == 16 else one.host_address
    return conntrack.forget_asked(_family(one), one.proto, one.host_port, address, translated=translated)


def _by_hand(
    netfilter: NetlinkSocket, family: int, gone: Sequence[Lead], moved: Sequence[Lead], came: Sequence[Lead]
) -> list[Message]:
    """One for each connection that is meant."""
    targets = {(one.address, one.proto, one.port) for one in gone}
    led = {(one.proto, one.host_port, one.host_address) for one in moved}
    new = {(one.proto, one.host_port, one.host_address) for one in came}
    messages = []
    try:
        bodies = netfilter.dump(conntrack.dump(family))
    except KernelError:
        return []  # without ctnetlink
    for body in bodies:
        one = conntrack.parse(body)
        asked = {(one.proto, one.asked_port, one.asked_address), (one.proto, one.asked_port, b"")}
        if one.destination_translated:
            meant = (one.target_address, one.proto, one.target_port) in targets or not led.isdisjoint(asked)
        else:
            meant = one.untouched and not new.isdisjoint(asked)
        if meant:
            messages.append(conntrack.forget(family, one))
    return messages


def _family(one: Lead) -> int:
    return socket.AF_INET6 if len(one.address) == 16 else socket.AF_INET
