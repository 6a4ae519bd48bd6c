"""What others change in the host's namespace: links, addresses, routes, forwarding and our nftables tables.

The kernel tells of our own changes too. Those of addresses, routes and nftables name their sender and are left out.
Links' do not (measured: the sender is 0), and one attach causes half a dozen; so of a link only the last message of
a burst is read, and told when what it says differs from the last burst's. A change that somebody makes within the
very burst in which we made the link is seen with the next full comparison.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Collection

from msgspec import Struct

from netloom.firewall.policy import LEARNT
from netloom.kernel import observe
from netloom.kernel.socket import NETFILTER, ROUTE, NetlinkSocket
from netloom.netlink import address, link, netconf, nft, route
from netloom.netlink.message import Reply, replies

_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_RCVBUFFORCE = 33
# RTNLGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE, IPV4_NETCONF, IPV6_NETCONF
_ROUTE_GROUPS = (1, 5, 7, 9, 11, 24, 25)
_NFT_GROUP = 7  # NFNLGRP_NFTABLES
_NFT_END = 0xA0F  # NFT_MSG_NEWGEN: each transaction ends with it, and says nothing by itself
_DELAY = 0.02  # seconds until a notification is read
_QUIET = 0.2  # seconds without a notification that end a burst
_CATCH_UP = 1024  # messages read at once by who wants to know now
_LONGEST = 1.0  # seconds after which a burst is told of, quiet or not
_LINKS = (link.NEWLINK, link.DELLINK)
_ADDRESSES = (address.NEWADDR, address.DELADDR)
_ROUTES = (route.NEWROUTE, route.DELROUTE)


class Changes(Struct, frozen=True):
    """What one burst changed. `lost`: the kernel dropped notifications; anything may have changed."""

    links: frozenset[str] = frozenset()  # our links that went (whoever deleted them), differ, or have other addresses
    facts: bool = False  # links, addresses, routes or switches not ours: `Kernel.facts` may answer otherwise
    ruleset: bool = False  # nftables, anybody's: another program's firewall is one that may be in our way
    own_ruleset: bool = False  # our tables: elements may be missing
    lost: bool = False


class Monitor:
    """Listens in the namespace in which it is made, on the running loop, and calls `changed` after each burst."""

    def __init__(self, changed: Callable[[Changes], None], own_ports: Collection[int]) -> None:
        """`own_ports` are the netlink port ids of those whose changes are not told (`HostKernel.port_ids`)."""
        self._changed = changed
        self._own = frozenset(own_ports)
        self._loop = asyncio.get_running_loop()
        self._route = _listen(ROUTE, _ROUTE_GROUPS)
        self._nft = _listen(NETFILTER, (_NFT_GROUP,))
        with NetlinkSocket(ROUTE) as once:
            self._known = {one.ifindex: one for one in observe.links(once)}
        self._last: dict[int, Reply] = {}  # last link message of this burst, by index
        self._readdressed: set[int] = set()  # by somebody
        self._touched: set[int] = set()  # addresses or routes, by the kernel itself
        self._looked_at: set[int] = set()  # others' links that were news to who asked in the midst of this burst
        self._ruleset = self._own_ruleset = self._lost = self._switched = False
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._later: set[asyncio.TimerHandle] = set()
        self._listen_to(self._route, self._take_route)
        self._listen_to(self._nft, self._take_nft)

    def close(self) -> None:
        """Stop listening; nothing is called any more. Twice is once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for timer in self._later:
            timer.cancel()
        self._later.clear()
        for one in (self._route, self._nft):
            if one.fileno() >= 0:
                self._loop.remove_reader(one.fileno())
                one.close()

    def behind(self) -> bool:
        """Has somebody else changed links, addresses or routes, and it has not been told yet?

        The kernel queues a notification before it answers whoever made the change, so nothing is missed.
        """
        if not self._read(self._route, self._take_route, most=_CATCH_UP) or self._lost or self._switched:
            return True
        if not all(map(self._is_ours, self._readdressed | self._touched)):
            return True
        news = {index for index, reply in self._last.items() if self._is_news(index, reply)}
        self._looked_at |= news
        return bool(news)

    def _is_ours(self, index: int) -> bool:
        known = self._known.get(index)
        said = self._last.get(index)
        return (known is not None and observe.is_ours(known)) or (
            said is not None and observe.is_ours(link.parse(said.body))
        )

    def _is_news(self, index: int, reply: Reply) -> bool:
        """Of a link of somebody else that is not what it was: each of our macvlans has its parent told of again."""
        if self._is_ours(index):
            return False
        return (
            reply.type == link.DELLINK or index in self._looked_at or self._known.get(index) != link.parse(reply.body)
        )

    def _listen_to(self, one: socket.socket, take: Callable[[Reply], bool]) -> None:
        self._loop.add_reader(one.fileno(), self._heard, one, take)

    def _heard(self, one: socket.socket, take: Callable[[Reply], bool]) -> None:
        """Read a little later: most of it is the echo of a request that is being answered just now."""
        self._loop.remove_reader(one.fileno())
        self._later = {timer for timer in self._later if timer.when() > self._loop.time()}
        self._later.add(self._loop.call_later(_DELAY, self._catch_up, one, take))

    def _catch_up(self, one: socket.socket, take: Callable[[Reply], bool]) -> None:
        self._read(one, take)
        self._listen_to(one, take)

    def _read(self, one: socket.socket, take: Callable[[Reply], bool], most: int = 64) -> bool:
        """True when everything has been read; after `most` messages others get their turn."""
        for _ in range(most):
            try:
                data = one.recv(65536)
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._lost = True
                self._wake()
                continue
            for reply in replies(data):
                if take(reply):
                    self._wake()
        return False

    def _take_route(self, reply: Reply) -> bool:
        """Keep what a notification says; True when it matters."""
        if reply.type in _LINKS:
            family, index = link.family_and_index(reply.body)
            if family == link.AF_BRIDGE:
                return False  # the same as a port's own message says
            self._last[index] = reply
            return True
        if reply.type == netconf.NEWNETCONF:
            told = netconf.forwards_host(reply.body)  # by whomever: it names no sender
            self._switched |= told
            return told
        if reply.sender in self._own:
            return False
        by_kernel = reply.sender == 0
        if reply.type in _ADDRESSES:
            nobody = by_kernel and not _v6_gone(reply)
            (self._touched if nobody else self._readdressed).add(address.index_of(reply.body))
            return True
        entry = route.parse(reply.body) if reply.type in _ROUTES else None
        if entry is not None:
            self._touched.add(entry.ifindex)
        return entry is not None

    def _take_nft(self, reply: Reply) -> bool:
        if reply.sender in self._own or reply.type == _NFT_END:
            return False
        if reply.type in nft.ELEMENTS and nft.set_of(reply.body) in LEARNT:
            return False
        self._ruleset = True
        self._own_ruleset |= nft.table_of(reply.body) == observe.TABLE
        return True

    def _wake(self) -> None:
        now = self._loop.time()
        if self._timer is None:
            self._since = now
        elif now - self._since > _LONGEST:
            return
        else:
            self._timer.cancel()
        self._timer = self._loop.call_later(_QUIET, self._tell)

    def _tell(self) -> None:
        self._timer = None
        before = dict(self._known)
        names = {name for index, reply in self._last.items() if (name := self._compare(index, reply))}
        names |= {self._name(index, before) for index in self._readdressed}
        gone = {i: link.parse(r.body) for i, r in self._last.items() if r.type == link.DELLINK}
        # Who has lost our mark was ours.
        ours = {i for known in (gone, before, self._known) for i, one in known.items() if observe.is_ours(one)}
        foreign = (self._last.keys() | self._readdressed | self._touched) - ours
        surely = self._readdressed | self._touched | self._looked_at
        moved = any(before.get(i) != self._known.get(i) or i in surely for i in foreign)
        changes = Changes(
            links=frozenset(names - {""}) & frozenset(self._name(i, gone | before) for i in ours),
            facts=moved or self._switched,
            ruleset=self._ruleset,
            own_ruleset=self._own_ruleset,
            lost=self._lost,
        )
        self._last, self._readdressed, self._touched, self._looked_at = {}, set(), set(), set()
        self._ruleset = self._own_ruleset = self._lost = self._switched = False
        if changes != Changes():
            self._changed(changes)

    def _compare(self, index: int, reply: Reply) -> str:
        """The name under which the link was known, when it is not what it was; a new one is not told.

        One that came and went within the burst is: whoever made it knows whether it should be gone.
        """
        before = self._known.pop(index, None)
        if reply.type == link.NEWLINK:
            self._known[index] = link.parse(reply.body)
        elif before is None:
            return link.parse(reply.body).name
        return before.name if before is not None and before != self._known.get(index) else ""

    def _name(self, index: int, before: dict[int, link.Link]) -> str:
        one = before.get(index) or self._known.get(index)
        return one.name if one else ""


def _v6_gone(reply: Reply) -> bool:
    """Has an IPv6 address gone? Whoever took it, its notification names no sender; we ourselves hardly ever do."""
    return reply.type == address.DELADDR and reply.body[0] == socket.AF_INET6


def _listen(protocol: int, groups: tuple[int, ...]) -> socket.socket:
    one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    try:
        one.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 8 << 20)
        one.bind((0, 0))  # without a port id of its own a socket hears nothing
        for group in groups:
            one.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
    except BaseException:
        one.close()
        raise
    return one
