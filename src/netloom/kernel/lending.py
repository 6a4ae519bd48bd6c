"""Interfaces of the host that are lent to a container, and go home with the name, MAC, MTU and state they had.

The interface itself carries what it was, as its alias (the ticket), so that whoever finds it can bring it home: the
daemon, the data plane when the container ends without a daemon, or the next daemon. A physical interface whose
namespace is gone comes up in the machine's first namespace, ticket and all; a virtual one (veth) ends with it.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

from netloom.kernel import namespace
from netloom.kernel.socket import ROUTE, NetlinkSocket
from netloom.netlink import link
from netloom.netlink.message import Message

_WORD = "netloom-lent"
_MOST = 255  # IFALIASZ less its end
_SO_NETNS_COOKIE = 71  # the number of a namespace, never used again while the machine runs
_FIRST = "/proc/1/ns/net"


class Ticket(NamedTuple):
    """What the interface was. `home` is the number of the namespace that it came from."""

    home: int
    name: str
    mac: str
    mtu: int
    up: bool
    alias: str
    hears: int = 0

    def text(self) -> str:
        """As an interface's alias."""
        text = f"{_WORD} {self.home} {self.name} {self.mac or '-'} {self.mtu} {int(self.up) | self.hears} {self.alias}"
        return text.encode()[:_MOST].decode(errors="ignore")

    @staticmethod
    def parse(alias: str) -> Ticket | None:
        """None for what is no ticket."""
        word, *rest = alias.split(" ", 6)
        if word != _WORD or len(rest) < 5 or not (rest[0].isdecimal() and rest[3].isdecimal()):
            return None
        mac = "" if rest[2] == "-" else rest[2]
        flags = int(rest[4]) if rest[4].isdecimal() else 0
        up, hears = bool(flags & link.UP), flags & link.HEARS
        return Ticket(int(rest[0]), rest[1], mac, int(rest[3]), up, "".join(rest[5:]), hears)


def lend(one: link.Link, *, home: int, index: int, name: str, mac: str, netns: int) -> Message:
    """Move an interface of this namespace into that of the fd, down, under an index of our choice.

    `name` is what it is called until it gets its own inside, where its present one is taken.
    """
    ticket = Ticket(home, one.name, one.mac, one.mtu, one.up, one.alias, one.hears)
    return link.move(
        one.ifindex, name=name, mac=mac, alias=ticket.text(), group=link.LENT, netns=netns, new_index=index
    )


def give_back(inside: NetlinkSocket, one: link.Link, home: int) -> None:
    """Move it home to the namespace of the fd `home`; one that has gone already is success.

    Where its name is taken there, it keeps its ticket, and `reclaim` gives it the name once that is free.
    """
    other = f"nl{one.ifindex:x}"
    was = Ticket.parse(one.alias) or Ticket(0, other, "", 0, False, "")
    if inside.request([_home(was, one.ifindex, home)]):
        inside.request([link.move(one.ifindex, name=other, alias=one.alias, group=link.LENT, netns=home)])


def give_all_back(netns: int, home: int) -> None:
    """Everything that was lent into the namespace of the fd `netns`. The calling thread stays in `home`."""
    with namespace.entered(netns, home):
        inside = NetlinkSocket(ROUTE, large=False)
    with inside:
        for body in inside.dump(link.dump()):
            one = link.parse(body)
            if one.group == link.LENT:
                give_back(inside, one, home)


def reclaim(own: NetlinkSocket, home: int) -> None:
    """What the kernel has put into the machine's first namespace, or what came home without being what it was."""
    cookie = home_of(own.socket)
    for one in _lent(own, cookie):
        was = Ticket.parse(one.alias)
        if was is not None:
            own.request([link.down(one.ifindex), _home(was, one.ifindex, -1)])
    try:
        first = os.open(_FIRST, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # not ours to look at
    try:
        if os.path.sameopenfile(first, home):
            return
        with namespace.entered(first, home):
            there = NetlinkSocket(ROUTE, large=False)
        with there:
            for one in _lent(there, cookie):
                give_back(there, one, home)
    except OSError:
        return
    finally:
        os.close(first)


def home_of(any_socket: socket.socket) -> int:
    """The number of the namespace that a socket was opened in."""
    number: int = struct.unpack("=Q", any_socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8))[0]
    return number


def _lent(there: NetlinkSocket, cookie: int) -> list[link.Link]:
    """By their tickets: where the name could not be given back the group has been already."""
    found = [link.parse(body) for body in there.dump(link.dump())]
    return [one for one in found if (was := Ticket.parse(one.alias)) is not None and was.home == cookie]


def _home(was: Ticket, index: int, netns: int) -> Message:
    return link.move(
        index,
        name=was.name,
        mac=was.mac,
        mtu=was.mtu,
        alias=was.alias,
        group=0,
        netns=netns,
        up=was.up,
        hears=was.hears,
    )
