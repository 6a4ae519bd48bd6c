"""Connections through published ports: the kernel goes on translating one as it began, whatever the maps say now."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from netloom.firewall.elements import Lead, lead
from netloom.kernel.socket import NetlinkSocket
from netloom.model.desired import Element, Step
from netloom.netlink import conntrack
from netloom.netlink.message import Message

_UDP = 17


def follow(netfilter: NetlinkSocket, steps: Iterable[Step]) -> None:
    """After these steps: what leads where no port leads any more ends, what began before its port came begins anew.

    TCP begins anew by itself; a client of UDP goes on as it began. Each message makes the kernel read its table
    once: there is one for each container whose IPv4 ports go, for each other port that goes or leads elsewhere now,
    and for each UDP port that comes. A kernel that cannot do it (without ctnetlink) leaves such connections to their
    timeouts.
    """
    gone: dict[bytes, list[Lead]] = {}
    messages: list[Message] = []
    for step in steps:
        if not isinstance(step.what, Element) or (there := lead(step.what)) is None:
            continue
        six = len(there.address) == 16
        # Of IPv6 addresses the kernel (6.18 and before) takes all but the one that is asked for: see its
        # ctnetlink_filter_match_tuple. So the port alone must do.
        asked = (there.proto, there.host_port, b"" if six else there.host_address)
        family = socket.AF_INET6 if six else socket.AF_INET
        if step.verb == "add":
            if there.proto == _UDP:
                messages.append(conntrack.forget_asked(family, *asked, translated=False))
        elif step.verb == "set" or six:
            messages.append(conntrack.forget_asked(family, *asked, translated=True))
        else:
            gone.setdefault(there.address, []).append(there)
    for address, leads in gone.items():
        ports = {(one.proto, one.port) for one in leads}
        messages.append(conntrack.forget_translated(address, *(ports.pop() if len(ports) == 1 else ())))
    if messages:
        netfilter.request(messages)
