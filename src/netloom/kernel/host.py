"""The kernel of one host: everything that the engine asks of it, on sockets that stay open."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from netloom.firewall.policy import LEARNT
from netloom.kernel import flows, foreign, lending, namespace, naming, observe, ruleset, sysctl, translate
from netloom.kernel.announce import Announcer
from netloom.kernel.apply import Applier
from netloom.kernel.namespace import Openable
from netloom.kernel.socket import ROUTE, NetlinkSocket
from netloom.model.desired import Desired, Element, HostFacts, LinkKind, PassedDrop, Step
from netloom.model.errors import KernelError
from netloom.netlink import address as rtaddress
from netloom.netlink import conntrack, nft
from netloom.netlink import link as rtnl


class Ruleset(NamedTuple):
    """The static nftables ruleset: text for `nft -f`, and the name of the empty set that marks its version."""

    version: str
    text: str
    families: tuple[int, ...] = (nft.INET, nft.BRIDGE)


class HostKernel:
    """The host's network namespace is the one in which this is made. Then used from one thread, which stays in it."""

    def __init__(self, rules: Ruleset | None = None) -> None:
        """Without `rules` no ruleset is ever loaded."""
        self._rules = rules
        self._meant = b""  # what the ruleset says when nobody has touched it, once it had to be known
        self._home = namespace.open_own()
        self._applier = Applier(self._home)
        self._announcer = Announcer()

    def close(self) -> None:
        """Close all sockets; what stands in the kernel stays."""
        self._applier.close()
        self._announcer.close()
        if self._home >= 0:
            os.close(self._home)
            self._home = -1

    @property
    def messages_sent(self) -> int:
        """Netlink messages so far, on the host's sockets and inside sandboxes: for those who count."""
        return self._applier.messages_sent

    @property
    def port_ids(self) -> tuple[int, ...]:
        """What notifications of our own changes carry as their sender."""
        return (self._applier.route.port, self._applier.nft.port)

    def apply(self, steps: Sequence[Step], sandboxes: Mapping[str, Openable]) -> None:
        """See `Applier.apply`. `del` of a link fences it; `Deleter.delete` takes it away.

        Where somebody has flushed the ruleset a moment ago it is loaded again; the elements that others need come
        back with the repair that the monitor calls for.
        """
        try:
            self._applier.apply(steps, sandboxes)
        except KernelError as error:
            if error.errno != errno.ENOENT or not self.ensure_ruleset():
                raise
            self._applier.apply(steps, sandboxes)

    def ensure_ruleset(self) -> bool:
        """Load the static ruleset where it is absent, of another version, or changed by somebody. True: loaded.

        Then it is without elements.
        """
        if self._rules is None or self._ruleset_is_whole(self._rules):
            return False
        ruleset.load(self._rules.text)
        return True

    def _ruleset_is_whole(self, rules: Ruleset) -> bool:
        if not ruleset.stands(self._applier.nft, rules.version, rules.families):
            return False
        if not self._meant:
            self._meant = ruleset.meant(rules.text, rules.families)
        return ruleset.said(self._applier.nft, rules.families) == self._meant

    def reclaim(self) -> None:
        """Interfaces of the host that an end without a daemon has left elsewhere, or not as they were."""
        lending.reclaim(self._applier.route, self._home)

    def restore_names(self, meant: Mapping[int, tuple[str, str]]) -> list[str]:
        """See `naming.restore`."""
        return naming.restore(self._applier.route, meant)

    def observe(self) -> list[Desired]:
        """Everything on the host that carries our mark. The ruleset is loaded first where it is missing:
        what follows an observation puts elements into its sets.
        """
        self.ensure_ruleset()
        return observe.host(self._applier.route, self._applier.nft)

    def observe_sandbox(self, within: Openable, sandbox: str) -> list[Desired]:
        """Veths, addresses and routes inside one sandbox. Raises ProcessLookupError when it has gone."""
        fd = within.open()
        try:
            with namespace.entered(fd, self._home):
                socket = NetlinkSocket(ROUTE)
                ipv6 = _with_ipv6()
            with socket:
                return observe.sandbox(socket, sandbox, ipv6)
        finally:
            os.close(fd)

    def limit_address(self, within: Openable, index: int, address: str, seconds: int) -> None:
        """Give an address inside a sandbox so long to live, 0xFFFFFFFF for ever. One that has ended is success."""
        try:
            fd = within.open()
        except ProcessLookupError:
            return
        try:
            with namespace.entered(fd, self._home):
                inside = NetlinkSocket(ROUTE, large=False)
            with inside:
                failures = inside.request([rtaddress.limit(index, address, seconds)])
        finally:
            os.close(fd)
        for failure in failures.values():
            raise KernelError(failure.errno, f"limit the life of address {address}", detail=failure.text)

    def facts(self) -> HostFacts:
        """Routes, uplinks, addresses and MTU of the host now."""
        return observe.facts(self._applier.route)

    def announce(self, link: str, mac: str, addresses: Sequence[str]) -> None:
        """One gratuitous ARP or unsolicited NA for each address. The flood costs 1.5 µs a port: after the reply."""
        if not mac:
            body = self._applier.route.get(rtnl.get(name=link))
            mac = rtnl.parse(body).mac if body is not None else ""
        if mac:
            self._announcer.announce(link, mac, addresses)

    def send_frame(self, link: str, frame: bytes) -> None:
        """A whole frame out of a link of the host."""
        self._announcer.send(link, frame)

    def pass_others(self, bridges: Collection[str], *, wanted: bool, gone: Collection[str] = ()) -> list[PassedDrop]:
        """Our rule or our bridges in the dropping chains of other firewalls, as wanted; those beyond our reach too."""
        stay, leave = (bridges, gone) if wanted else ((), [*bridges, *gone])
        return [foreign.settle(one, stay, leave, wanted=wanted) for one in foreign.look()]

    def end_connections(self, denied: flows.Denied) -> int:
        """Forget the tracked connections that are denied; how many. `denied` as in `flows.end`."""
        return flows.end(self._applier.nft, denied)

    def hooks_bridges(self) -> bool:
        """Can what bridges carry pass the IP hooks (br_netfilter)?"""
        return os.path.isdir("/proc/sys/net/bridge")

    def forget_names(self) -> None:
        """Forget all that the firewall has learnt of names."""
        self._applier.nft.transaction([nft.flush_set(nft.INET, observe.TABLE, name) for name in sorted(LEARNT)])

    def hits(self, sets: Sequence[str]) -> list[tuple[Element, int]]:
        """Elements of these sets of ours, and how often each was hit."""
        return observe.hits(self._applier.nft, sets)

    def supports(self, kind: LinkKind) -> bool:
        """Has this kernel links of that kind, as a module or built in? Nothing is made; a module may be loaded."""
        failure = self._applier.route.request([rtnl.probe(kind)]).get(0)
        return failure is None or failure.errno != errno.EOPNOTSUPP

    def can_leave(self, link: str) -> bool:
        """Can an interface move into another namespace? Nothing happens to it; one that is not there could."""
        body = self._applier.route.get(rtnl.get(name=link))
        if body is None:
            return True
        elsewhere = self.new_namespace()
        try:
            failure = self._applier.route.request([rtnl.cannot_arrive(rtnl.parse(body).ifindex, elsewhere)])[0]
        finally:
            os.close(elsewhere)
        return failure.errno != errno.EINVAL

    def forgets_connections(self) -> bool:
        """Has this kernel ctnetlink? Without it connections outlive the ports that let them in."""
        return not self._applier.nft.request([conntrack.statistics()])

    def new_namespace(self) -> int:
        """A fresh network namespace, lo up; the fd is the caller's."""

        def inside() -> int:
            fd = namespace.unshared()
            self._applier.switches.remember()
            return fd

        return namespace.in_thread(inside)


def _with_ipv6() -> list[str]:
    """Interfaces of the calling thread's namespace on which IPv6 is on."""
    try:
        names = os.listdir("/proc/sys/net/ipv6/conf")
    except FileNotFoundError:
        return []
    return [name for name in names if sysctl.read(translate.ipv6_switch(name)) == "0"]
