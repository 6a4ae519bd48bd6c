"""Run steps, batched by where they take effect: nftables, the host's rtnetlink, its settings, each sandbox."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from itertools import groupby

from netloom.kernel import elements, flows, lending, step_settings, translate
from netloom.kernel.namespace import Openable, entered, index_of
from netloom.kernel.refusals import refusal
from netloom.kernel.socket import NETFILTER, ROUTE, NetlinkSocket
from netloom.kernel.switches import Ipv6Switches
from netloom.model.desired import (
    LINKS,
    Address,
    Bridge,
    Child,
    Element,
    Key,
    Link,
    Loop,
    Neighbour,
    Parent,
    Port,
    Route,
    Shim,
    Step,
    Sysctl,
    Veth,
)
from netloom.model.errors import KernelError
from netloom.netlink import link, route
from netloom.netlink.message import Message, Verdict
from netloom.plan.steps import subject

_EXFULL = 54
_MOST_PORTS = 1023  # BR_MAX_PORTS less one


class Applier:
    """Persistent sockets in the host's namespace, in which it is made; then used from one thread."""

    def __init__(self, home: int) -> None:
        """`home` is an fd of the host's namespace; the caller keeps it open."""
        self._home = home
        self.route = NetlinkSocket(ROUTE)
        self.nft = NetlinkSocket(NETFILTER)
        self.switches = Ipv6Switches()
        self._inside = 0

    def close(self) -> None:
        """Close the sockets."""
        self.route.close()
        self.nft.close()
        self.switches.close()

    def apply(self, steps: Sequence[Step], sandboxes: Mapping[str, Openable]) -> None:
        """Run the steps. Already there and already gone are success.

        Steps of one target keep their order; of a run of additions the elements come first, so that no packet
        meets a link without its rules, of a run of deletions the links (which are fenced, not deleted: `Links`
        does that; only where the same link is added again is it deleted here, which takes some 20 ms). One inside a
        sandbox is not fenced: that costs as much as its deletion.
        Raises KernelError for the first that failed: what went before it stands, and some of what comes after it
        in the list may.
        """
        run = _Run(self, steps, sandboxes)
        try:
            for going, part in groupby(steps, key=lambda step: step.verb == "del"):
                if going:
                    run.delete(list(part))
                else:
                    run.add(list(part))
        finally:
            run.close()

    @property
    def messages_sent(self) -> int:
        """So far, all sockets together."""
        return self.route.sent + self.nft.sent + self._inside

    def count_inside(self, messages: int) -> None:
        """Messages sent on a socket that is gone."""
        self._inside += messages

    @property
    def home(self) -> int:
        """The host's namespace."""
        return self._home


class _Run:
    """One call of `apply`: the namespaces that it opened."""

    def __init__(self, applier: Applier, steps: Sequence[Step], sandboxes: Mapping[str, Openable]) -> None:
        self._applier = applier
        self._route = applier.route
        self._nft = applier.nft
        self._home = applier.home
        self._sandboxes = sandboxes
        self._fds: dict[str, int] = {}
        self._comes_back: set[Key] = {s.what.key for s in steps if s.verb == "add" and isinstance(s.what, LINKS)}
        # Ranges must not overlap: those that go make room in the transaction in which others come.
        ranges = [s for s in steps if isinstance(s.what, Element) and s.what.key_end]
        self._giving_way = elements.meeting(
            [s for s in ranges if s.verb == "del"], [s for s in ranges if s.verb == "add"]
        )
        self._staying = [there for verb, there in flows.leads(steps) if verb == "add"] if ranges else []

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)

    def add(self, steps: list[Step]) -> None:
        """A run of additions and replacements."""
        governed = [s for s in steps if isinstance(s.what, Element)]
        if governed:
            # What comes in the place of others stands first: all of it in the transaction of those that give way.
            first = set(map(id, elements.meeting(governed, self._giving_way)))
            governed.sort(key=lambda s: id(s) not in first)
            elements.apply(self._nft, [*self._giving_way, *governed])
            flows.follow(self._nft, governed)
        # A bridge is complete before its first port comes: it would take that port's MTU for its own.
        self._links([s for s in steps if isinstance(s.what, (Bridge, Parent, Loop))])
        self._links([s for s in steps if isinstance(s.what, (Veth, Shim, Child))])
        self._send_all(self._route, [(s, m) for s in steps for m in _host_messages(s)])
        self._send_all(self._route, [(s, m) for s in steps if isinstance(s.what, Port) for m in _enslave(s, s.what)])
        for step in steps:
            if isinstance(step.what, Sysctl) and not step.what.sandbox and not step_settings.of_nobody(step.what):
                step_settings.write(step, step.what.path, step.what.value)
        self._enter_each(steps)

    def delete(self, steps: list[Step]) -> None:
        """A run of deletions."""
        self._send_all(self._route, [(s, m) for s in steps for m in self._host_deletions(s)])
        governing = [s for s in steps if isinstance(s.what, Element)]
        if governing:
            gave_way = set(map(id, self._giving_way))  # what stands there now is another's
            elements.apply(self._nft, [s for s in governing if id(s) not in gave_way])
            leaving = {ip_address(s.what.address).packed for s in steps if isinstance(s.what, Neighbour)}
            flows.follow(self._nft, governing, self._staying, leaving)
        for step in steps:
            if isinstance(step.what, Sysctl) and not step.what.sandbox:
                step_settings.restore(step, step.what)
        self._enter_each(steps)

    def _links(self, steps: list[Step]) -> None:
        """Make and correct links.

        They are made in a send of their own: what follows names them by index, and must not meet another's link.
        """
        work = [(s, s.what) for s in steps if isinstance(s.what, LINKS)]
        making = [(s, w) for s, w in work if s.verb == "add"]
        # A device that has been moved already is not there any more to be moved.
        making = [(s, w) for s, w in making if not (isinstance(w, Child) and self._has_moved(s, w))]
        failures = self._route.request([self._create(s, w) for s, w in making])
        new = {making[place][1].key for place in range(len(making)) if place not in failures}
        for place, failure in sorted(failures.items()):
            self._check_there(*making[place], failure)
        for step, what in work:
            if isinstance(what, (Bridge, Shim)):
                step_settings.turn_ipv6(step, what)
        self._send_all(
            self._route,
            [(s, m) for s, w in work for m in (translate.configure if w.key in new else translate.correct)(w)],
        )

    def _create(self, step: Step, what: Link) -> Message:
        if isinstance(what, Child) and what.kind == "device":
            body = self._route.get(link.get(name=what.parent))
            if body is None:
                raise KernelError(errno.ENODEV, subject(step), detail=f"parent interface {what.parent} is not there")
            return lending.lend(
                link.parse(body),
                home=lending.home_of(self._route.socket),
                index=what.index,
                name=translate.first_name(what),
                mac=what.mac,
                netns=self._netns(step, what),
            )
        return translate.create(what, self._netns(step, what), _below(step, what))

    def _has_moved(self, step: Step, what: Child) -> bool:
        if what.kind != "device" or index_of(what.parent):
            return False
        self._check_inside(step, what, Verdict(errno.ENODEV, f"parent interface {what.parent} is not there"))
        return True

    def _check_there(self, step: Step, what: Link, failure: Verdict) -> None:
        """Return when the link is there already; else say in whose way it is."""
        if failure.errno != errno.EEXIST:
            raise refusal(step, failure)
        if isinstance(what, Child):
            self._check_inside(step, what, failure)
            return
        body = self._route.get(link.get(name=what.name))
        there = link.parse(body) if body is not None else None
        if there is not None and (there.ifindex, there.kind) == (
            what.index,
            _kind(what),
        ):
            return
        if there is not None:
            detail = f"a {there.kind or 'link'} of that name is there with index {there.ifindex}"
            raise KernelError(errno.EEXIST, subject(step), detail=detail)
        body = self._route.get(link.get(index=what.index))
        if body is not None:
            detail = f"interface index {what.index} is taken by {link.parse(body).name}"
            raise KernelError(errno.EBUSY, subject(step), detail=detail)
        raise refusal(step, failure)

    def _check_inside(self, step: Step, what: Child, failure: Verdict) -> None:
        with self._socket_in(what.sandbox, step) as inside:
            found = [link.parse(body) for body in inside.dump(link.dump())]
        for there in found:
            mark = (what.index, link.LENT) if what.kind == "device" else (what.index, link.INSIDE)
            if (there.ifindex, there.group) == mark and what.kind in (there.kind, "device"):
                return
        in_the_way = [one for one in found if what.index == one.ifindex or what.name == one.name]
        if not in_the_way:
            raise refusal(step, failure)
        detail = f"{in_the_way[0].name} with index {in_the_way[0].ifindex} is there inside"
        raise KernelError(errno.EEXIST, subject(step), detail=detail)

    @contextmanager
    def _socket_in(self, sandbox: str, step: Step) -> Iterator[NetlinkSocket]:
        fd = self._fd(sandbox, step)
        with entered(fd, self._home):
            inside = NetlinkSocket(ROUTE, large=False)
        with inside:
            yield inside

    def _host_deletions(self, step: Step) -> list[Message]:
        match step.what:
            case Port(link=name):
                return [link.change(index, master=0)] if (index := index_of(name)) else []
            case Bridge() | Veth() | Parent() | Loop() | Shim():
                return [(link.delete if step.what.key in self._comes_back else link.down)(step.what.index)]
            case Neighbour() | Address(sandbox="") | Route(sandbox=""):
                return [translate.delete(step.what)]
            case _:
                return []

    def _send_all(self, socket: NetlinkSocket, work: list[tuple[Step, Message]]) -> None:
        """Send, forgive what is so already, raise for the first that is not."""
        if not work:
            return
        failures = socket.request([message for _, message in work])
        for place, failure in sorted(failures.items()):
            step, _ = work[place]
            if step.verb == "del" and translate.is_gone(step.what, failure.errno):
                continue
            if failure.errno == errno.EEXIST and isinstance(step.what, Address):
                continue
            if failure.errno == errno.EAFNOSUPPORT and isinstance(step.what, (Veth, Parent, Loop, Shim)):
                continue  # no IPv6 to silence
            if failure.errno == errno.ENOENT and isinstance(step.what, Neighbour):
                continue  # nobody remembers another MAC for the address
            if failure.errno == errno.EEXIST and isinstance(step.what, Route) and self._has_route(socket, step.what):
                continue
            raise refusal(step, failure)

    def _has_route(self, socket: NetlinkSocket, wanted: Route) -> bool:
        found = (route.parse(body) for body in socket.dump(route.dump()))
        return any(
            r is not None
            and r.table == route.MAIN
            and (r.destination, r.via, r.ifindex) == (wanted.destination, wanted.via, wanted.index)
            for r in found
        )

    def _enter_each(self, steps: list[Step]) -> None:
        inside: dict[str, list[Step]] = {}
        for step in steps:
            if sandbox := _sandbox(step):
                inside.setdefault(sandbox, []).append(step)
        for sandbox, part in inside.items():
            self._enter(sandbox, part)

    def _enter(self, sandbox: str, steps: list[Step]) -> None:
        """Go in once, for the socket and the settings; the messages are sent from outside."""
        work = [(s, m) for s in steps for m in self._inner_messages(s)]
        settings = [
            s for s in steps if isinstance(s.what, Sysctl) or (isinstance(s.what, (Veth, Child)) and s.verb == "add")
        ]
        if not work and not settings:
            return
        try:
            fd = self._fd(sandbox, steps[0])
        except KernelError:
            if steps[0].verb == "del":
                return  # the namespace took it all along
            raise
        socket: NetlinkSocket | None = None
        try:
            with entered(fd, self._home):
                socket = NetlinkSocket(ROUTE, large=False)
                self._rename(socket, steps)
                for step in settings:
                    self._set_inside(socket, step)
            self._send_all(socket, work)
        finally:
            if socket is not None:
                self._applier.count_inside(socket.sent)
                socket.close()  # left open it would keep the namespace and its links alive

    def _rename(self, socket: NetlinkSocket, steps: list[Step]) -> None:
        """From their first names. EBUSY: it is up, so it has its own name, or the container's choice."""
        new = [(s, s.what) for s in steps if isinstance(s.what, Child) and s.verb == "add"]
        if not new:
            return
        for place, failure in sorted(socket.request([link.rename(w.index, w.name) for _, w in new]).items()):
            step, what = new[place]
            if failure.errno == errno.EEXIST:
                raise KernelError(errno.EEXIST, subject(step), detail=f"{what.name} is there inside")
            if failure.errno != errno.EBUSY:
                raise refusal(step, failure)

    def _set_inside(self, socket: NetlinkSocket, step: Step) -> None:
        match step.what:
            case Sysctl() if step.verb == "del":
                step_settings.restore(step, step.what)
            case Sysctl():
                step_settings.write(step, step.what.path, step.what.value)
            case Veth(peer_name=name, peer_ipv6=on) | Child(name=name, ipv6=on):
                with step_settings.ipv6(step, on):
                    self._applier.switches.turn(socket.socket, name, on=on)

    def _netns(self, step: Step, what: Link) -> int:
        if isinstance(what, Loop):
            return self._home
        return self._fd(what.sandbox, step) if isinstance(what, (Veth, Child)) else -1

    def _inner_messages(self, step: Step) -> Iterable[Message]:
        match step.what:
            case Veth(peer_index=index, peer_mtu=mtu) if step.verb != "del":
                narrowed = [link.change(index, mtu=mtu)] if mtu else []
                return [*narrowed, *([link.up(index)] if step.verb == "add" else [])]
            case Child(index=index, mac=mac) if step.verb == "add":
                # In mode passthru the kernel gives it the parent's MAC; what is set here becomes the parent's as well.
                own = mac if step.what.mode == "passthru" else ""
                return [*([link.change(index, mac=own)] if own else []), link.up(index)]
            case Child(index=index, mtu=mtu) if step.verb == "set" and mtu:
                return [link.change(index, mtu=mtu)]
            case Child() if step.verb == "del" and step.what.key in self._comes_back:
                return [link.delete(step.what.index)]
            case Address() | Route():
                make = {"add": translate.add, "set": translate.replace, "del": translate.delete}[step.verb]
                return [make(step.what)]
            case _:
                return ()

    def _fd(self, sandbox: str, step: Step) -> int:
        if sandbox not in self._fds:
            try:
                self._fds[sandbox] = self._sandboxes[sandbox].open()
            except (ProcessLookupError, KeyError) as error:
                detail = f"sandbox {sandbox[:12]} has ended"
                raise KernelError(errno.ESRCH, subject(step), detail=detail) from error
        return self._fds[sandbox]


def _host_messages(step: Step) -> Iterable[Message]:
    match step.what:
        case Neighbour() | Address(sandbox="") | Route(sandbox=""):
            return [(translate.add if step.verb == "add" else translate.replace)(step.what)]
        case _:
            return ()


def _enslave(step: Step, what: Port) -> list[Message]:
    """It is up, as a port of the bridge."""
    index = index_of(what.link)
    if not index:
        raise KernelError(errno.ENODEV, subject(step), detail=f"interface {what.link} is not there")
    return [link.change(index, master=what.master_index), link.up(index)]


def _kind(what: Link) -> str:
    match what:
        case Bridge():
            return "bridge"
        case Veth() | Loop():
            return "veth"
        case Parent():
            return "vlan" if what.base else "dummy"
        case Shim() | Child():
            return what.kind


def _below(step: Step, what: Link) -> int:
    """The index, now, of the interface that a link stands on: one of somebody else, which may have come anew."""
    match what:
        case Shim() | Child():
            name = what.parent
        case Parent(base=name) if name:
            pass
        case _:
            return 0
    if index := index_of(name):
        return index
    raise KernelError(errno.ENODEV, subject(step), detail=f"parent interface {name} is not there")


def _sandbox(step: Step) -> str:
    """The sandbox inside which a step has something to do."""
    match step.what:
        case Veth(sandbox=sandbox, peer_mtu=mtu) if step.verb == "add" or (step.verb == "set" and mtu):
            return sandbox
        case Child(sandbox=sandbox):
            return sandbox
        case Address(sandbox=sandbox) | Route(sandbox=sandbox) | Sysctl(sandbox=sandbox):
            return sandbox
        case _:
            return ""
