"""A kernel in memory: implements `engine.ports.Kernel` and `engine.ports.Links`, and prints itself as `ip`-like lines.

It knows what the real one refuses (names and indices that are taken, links that are missing, full bridges), what
goes with what, and nothing about packets. It passes the suite that the real one passes (`kernel/kernel_test.py`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from netloom.kernel.namespace import Openable
from netloom.model.desired import (
    LINKS,
    Address,
    Bridge,
    Child,
    Desired,
    Element,
    HostFacts,
    HostLink,
    Key,
    Link,
    LinkKind,
    Neighbour,
    Parent,
    PassedDrop,
    Port,
    Route,
    Shim,
    Step,
    Sysctl,
    Veth,
)
from netloom.model.errors import Exhausted, KernelError
from netloom.plan.steps import line, listing, subject

MOST_PORTS = 1023


class FakeKernel:
    """One host. `fail` makes the next step whose text contains a string fail; `log` has every step applied."""

    def __init__(self, facts: HostFacts | None = None) -> None:
        self._objects: dict[Key, Desired] = {}
        self._links: dict[Key, Link] = {}  # those of them that are links
        self._facts = facts or HostFacts()
        self._failures: list[tuple[str, int]] = []
        self.log: list[str] = []
        self.br_netfilter = True
        self.missing: set[LinkKind] = set()  # kinds of links that it does not have
        self.bound = {"lo"}  # names of interfaces that cannot leave
        self.renamed: set[str] = set()  # veths that somebody calls otherwise
        self.forgets = True  # may connections be forgotten?
        self.lives: dict[str, int] = {}  # seconds, by address
        self.frames: list[tuple[str, bytes]] = []
        self.announced: list[tuple[str, str, tuple[str, ...]]] = []

    def __str__(self) -> str:
        """Everything that stands, sorted and aligned."""
        return listing(self._objects.values())

    def fail(self, text: str, number: int = errno.EIO) -> None:
        """The next step whose line contains the text raises KernelError with this errno."""
        self._failures.append((text, number))

    def lose(self, key: Key) -> None:
        """Somebody else took it away."""
        self._objects.pop(key)

    def know(self, **changed: Any) -> HostFacts:
        """From now on these facts are otherwise."""
        self._facts = msgspec.structs.replace(self._facts, **changed)
        return self._facts

    def apply(self, steps: Sequence[Step], sandboxes: Mapping[str, Openable]) -> None:
        """As the real one: a deleted link is fenced, not gone."""
        back = {s.what.key for s in steps if s.verb == "add"}
        for step in steps:
            self._maybe_fail(step)
            self.log.append(line(step))
            if step.verb == "del":
                self._delete(step.what, wholly=step.what.key in back)
            else:
                self._open(step, sandboxes)
                self._put(step)

    def reclaim(self) -> None:
        """Nothing ends here without a daemon."""

    def observe(self) -> list[Desired]:
        """Host's objects; of veths the host's half."""
        return [
            _host_half(o) if isinstance(o, Veth) else o
            for o in self._objects.values()
            if (isinstance(o, Veth) or not getattr(o, "sandbox", "")) and not self._on_others(o)
            if not (isinstance(o, Veth) and o.name in self.renamed)
        ]

    def restore_names(self, meant: Mapping[int, tuple[str, str]]) -> list[str]:
        """Of those in `renamed`."""
        links = [o for o in self._links.values() if isinstance(o, Veth) and o.name in self.renamed]
        restored = [o.name for o in links if meant.get(o.index) == (o.name, o.mac)]
        self.renamed.difference_update(restored)
        return restored

    def end_connections(self, denied: Callable[[int, str, str, int, tuple[str, int]], bool]) -> int:
        """There are none."""
        return 0

    def hooks_bridges(self) -> bool:
        """Unless a test says otherwise."""
        return self.br_netfilter

    def forget_names(self) -> None:
        """Nobody has looked up any."""

    def hits(self, sets: Sequence[str]) -> list[tuple[Element, int]]:
        """Nothing passes, so nothing is hit."""
        return [(o, 0) for o in self._objects.values() if isinstance(o, Element) and o.set in sets]

    def _on_others(self, what: Desired) -> bool:
        """It has no mark: the facts tell of it."""
        return isinstance(what, Port) or (isinstance(what, Address) and what.link in self._facts.links)

    def supports(self, kind: LinkKind) -> bool:
        """All but `missing`."""
        return kind not in self.missing

    def can_leave(self, link: str) -> bool:
        """All but those in `bound`."""
        return link not in self.bound

    def forgets_connections(self) -> bool:
        """Unless a test says otherwise (`forgets`)."""
        return self.forgets

    def observe_sandbox(self, namespace: Openable, sandbox: str) -> list[Desired]:
        """Addresses and routes of a sandbox; of veths the inner half."""
        os.close(namespace.open())
        inside = [o for o in self._objects.values() if getattr(o, "sandbox", "") == sandbox]
        found = [o for o in inside if not isinstance(o, Sysctl)]
        return [_inner_half(o) if isinstance(o, Veth) else _as_seen(o) if isinstance(o, Child) else o for o in found]

    def facts(self) -> HostFacts:
        """As given, what is ours left out; with what was done to interfaces of others and to settings since."""
        lent = {o.parent for o in self._links.values() if isinstance(o, Child) and o.kind == "device"}
        added: dict[str, list[str]] = {}
        for o in self._objects.values():
            if isinstance(o, Address) and not o.sandbox:
                added.setdefault(o.link, []).append(o.address)
        here = [self._as_it_is(one, added.get(one.name, [])) for one in self._facts.interfaces if one.name not in lent]
        written = {o.path: o.value for o in self._objects.values() if isinstance(o, Sysctl) and not o.sandbox}
        now = tuple((path, written.get(path, value)) for path, value in self._facts.sysctls)
        ports = [o for o in self._objects.values() if isinstance(o, Port) and ("link", o.link) in self._objects]
        vlans = tuple((o.link, o.master) for o in ports)
        return msgspec.structs.replace(self._facts, interfaces=tuple(here), vlan_masters=vlans, sysctls=now)

    def _as_it_is(self, one: HostLink, added: list[str]) -> HostLink:
        port = self._objects.get(("port", one.name))
        master = port.master if isinstance(port, Port) else one.master
        addresses = (*one.addresses, *(address for address in added if address not in one.addresses))
        return msgspec.structs.replace(one, master=master, addresses=addresses)

    def limit_address(self, within: Openable, index: int, address: str, seconds: int) -> None:
        """Kept in `lives`: time passes elsewhere."""
        self.lives[address] = seconds

    def expire(self, address: str) -> None:
        """The life of an address inside a sandbox is over; the last of its interface takes the routes along."""
        for key, what in list(self._objects.items()):
            if isinstance(what, Address) and what.sandbox and what.address == address:
                del self._objects[key]
                for other, route in list(self._objects.items()):
                    if isinstance(route, Route) and (route.sandbox, route.link) == (what.sandbox, what.link):
                        del self._objects[other]

    def send_frame(self, link: str, frame: bytes) -> None:
        """Kept in `frames`."""
        self.frames.append((link, frame))

    def announce(self, link: str, mac: str, addresses: Sequence[str]) -> None:
        """Kept in `announced`."""
        self.announced.append((link, mac, tuple(addresses)))

    def pass_others(self, bridges: Collection[str], *, wanted: bool, gone: Collection[str] = ()) -> list[PassedDrop]:
        """Nobody else filters here."""
        return []

    def new_namespace(self) -> int:
        """An fd of nothing, the caller's."""
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    async def delete(self, index: int) -> None:
        """The link goes, and what is on it."""
        for found in list(self._links.values()):
            if found.index == index and not isinstance(found, Child):
                self._delete(found, wholly=True)

    async def delete_inside(self, index: int, within: Openable, sandbox: str) -> None:
        """The same inside a sandbox."""
        try:
            os.close(within.open())
        except ProcessLookupError:
            return
        for found in list(self._links.values()):
            if isinstance(found, Child) and (found.sandbox, found.index) == (sandbox, index):
                self._delete(found, wholly=True)

    def end_sandbox(self, sandbox: str) -> None:
        """Its namespace has ended, as when its last process does."""
        for found in list(self._objects.values()):
            if isinstance(found, (Veth, Child)) and found.sandbox == sandbox:
                self._delete(found, wholly=True)
        self._objects = {k: o for k, o in self._objects.items() if getattr(o, "sandbox", "") != sandbox}

    def keep_inside(self, sandboxes: Collection[str]) -> None:
        """Other namespaces are held by nobody any more: what stands in them alone has gone, veths still may go."""
        for found in list(self._links.values()):
            if isinstance(found, Child) and found.sandbox not in sandboxes:
                self._delete(found, wholly=True)

    def _maybe_fail(self, step: Step) -> None:
        for failure in self._failures:
            if failure[0] in line(step):
                self._failures.remove(failure)
                raise KernelError(failure[1], subject(step), detail="asked for by a test")

    def _open(self, step: Step, sandboxes: Mapping[str, Openable]) -> None:
        sandbox = getattr(step.what, "sandbox", "")
        if not sandbox:
            return
        try:
            os.close(sandboxes[sandbox].open())
        except (KeyError, ProcessLookupError) as error:
            raise KernelError(errno.ESRCH, subject(step), detail=f"sandbox {sandbox[:12]} has ended") from error

    def _put(self, step: Step) -> None:
        what = step.what
        old = self._objects.get(what.key)
        if isinstance(what, LINKS):
            self._check_link(step, what, old)
            self._links[what.key] = what
        elif isinstance(what, Port):
            if what.link not in self._names():
                raise KernelError(errno.ENODEV, subject(step), detail=f"interface {what.link} is not there")
            if not self._is_bridge(what.master_index):
                raise KernelError(errno.ENODEV, subject(step), detail=f"no bridge {what.master}")
        elif isinstance(what, (Address, Route, Neighbour)):
            self._check_on_link(step, what)
            if isinstance(what, Route) and not what.sandbox and step.verb == "add" and old not in (None, what):
                raise KernelError(errno.EEXIST, subject(step))
        self._objects[what.key] = what

    def _check_link(self, step: Step, what: Link, old: Desired | None) -> None:
        others = [o for o in self._links.values() if o.key != what.key]
        if isinstance(what, Child):
            self._check_child(step, what, others)
            return
        others = [o for o in others if not isinstance(o, Child)]
        if isinstance(what, Parent) and what.base and what.base not in self._names():
            raise KernelError(errno.ENODEV, subject(step), detail=f"parent interface {what.base} is not there")
        if isinstance(what, Shim) and what.parent not in self._names():
            raise KernelError(errno.ENODEV, subject(step), detail=f"parent interface {what.parent} is not there")
        if isinstance(old, LINKS) and (old.index != what.index or type(old) is not type(what)):
            raise KernelError(errno.EEXIST, subject(step), detail="a link of that name is there")
        if taken := next((o for o in others if o.index == what.index), None):
            detail = f"interface index {what.index} is taken by {taken.name}"
            raise KernelError(errno.EBUSY, subject(step), detail=detail)
        if isinstance(what, Veth):
            ports = [o for o in others if isinstance(o, Veth) and o.master == what.master]
            if what.master_index and not self._is_bridge(what.master_index):
                raise KernelError(errno.ENODEV, subject(step), detail=f"no bridge {what.master}")
            if any(o.sandbox == what.sandbox and o.peer_name == what.peer_name for o in ports):
                raise KernelError(errno.EEXIST, subject(step), detail=f"{what.peer_name} is there inside")
            if len(ports) >= MOST_PORTS:
                raise Exhausted(f"{subject(step)}: bridge {what.master} has {MOST_PORTS} ports")

    def _check_child(self, step: Step, what: Child, others: list[Link]) -> None:
        if what.parent not in self._names():
            raise KernelError(errno.ENODEV, subject(step), detail=f"parent interface {what.parent} is not there")
        children = [o for o in others if isinstance(o, Child)]
        inside = [(o.name, o.index) for o in children if o.sandbox == what.sandbox]
        inside += [(o.peer_name, o.peer_index) for o in others if isinstance(o, Veth) and o.sandbox == what.sandbox]
        if any(what.name == name or what.index == index for name, index in inside):
            raise KernelError(errno.EEXIST, subject(step), detail=f"{what.name} is there inside")
        beside = [o for o in children if o.parent == what.parent]
        if any(o.kind != what.kind for o in beside):
            raise KernelError(errno.EBUSY, subject(step))
        if what.mode == "passthru" and beside:
            raise KernelError(errno.EINVAL, subject(step))
        if what.mac and any(o.mac == what.mac for o in beside):
            raise KernelError(errno.EADDRINUSE, subject(step))

    def _is_bridge(self, index: int) -> bool:
        ours = any(isinstance(o, Bridge) and o.index == index for o in self._links.values())
        return ours or any(one.kind == "bridge" and one.index == index for one in self._facts.interfaces)

    def _names(self) -> set[str]:
        return {*self._facts.links, *(o.name for o in self._links.values() if not isinstance(o, Child))}

    def _check_on_link(self, step: Step, what: Address | Route | Neighbour) -> None:
        sandbox = getattr(what, "sandbox", "")
        if not sandbox and any(one.index == what.index for one in self._facts.interfaces):
            return
        for link in self._links.values():
            if not sandbox and link.index == what.index and not isinstance(link, Child):
                return
            if isinstance(link, Child) and (link.sandbox, link.index) == (sandbox, what.index):
                return
            if isinstance(link, Veth) and (link.sandbox, link.peer_index) == (sandbox, what.index):
                return
        raise KernelError(errno.ENODEV, subject(step), detail=f"no link with index {what.index}")

    def _delete(self, what: Desired, *, wholly: bool) -> None:
        found = self._objects.get(what.key)
        if isinstance(found, LINKS) and not wholly:
            if not isinstance(found, Child):  # what is inside is not fenced
                self._objects[what.key] = self._links[what.key] = msgspec.structs.replace(found, up=False)
            return
        self._objects.pop(what.key, None)
        if isinstance(found, LINKS):
            del self._links[what.key]
            self._objects = {k: o for k, o in self._objects.items() if not _lies_on(o, found)}
        if isinstance(found, Parent):
            self.parent_gone(found.name)

    def parent_gone(self, name: str) -> None:
        """An interface of the host has gone: what stands on it goes too."""
        for found in list(self._links.values()):
            if isinstance(found, (Child, Shim)) and found.parent == name:
                self._delete(found, wholly=True)


def _lies_on(what: Desired, link: Link) -> bool:
    if isinstance(link, Child):
        match what:
            case Address() | Route():
                return (what.sandbox, what.index) == (link.sandbox, link.index)
            case Sysctl():
                return what.sandbox == link.sandbox and f"/{link.name}/" in what.path
            case _:
                return False
    match what:
        case Address() | Route() if what.sandbox:
            return isinstance(link, Veth) and (what.sandbox, what.index) == (link.sandbox, link.peer_index)
        case Address() | Route() | Neighbour():
            return what.index == link.index
        case Port():
            return link.name in (what.link, what.master)
        case Sysctl():
            name = link.peer_name if isinstance(link, Veth) and what.sandbox else link.name
            return f"/{name}/" in what.path and what.sandbox in ("", getattr(link, "sandbox", ""))
        case _:
            return False


def _host_half(what: Veth) -> Veth:
    return msgspec.structs.replace(what, sandbox="", peer_name="", peer_mac="", peer_ipv6=False)


def _as_seen(what: Child) -> Child:
    return msgspec.structs.replace(what, parent="", mode="", flag="")


def _inner_half(what: Veth) -> Veth:
    return msgspec.structs.replace(what, name="", mac="", master="", master_index=0, hairpin=False, up=True)
