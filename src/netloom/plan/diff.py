"""Desired and observed become ordered steps.

The order: everything that is added or replaced, as the driver lists it; then, for what goes, links first (a link's
deletion begins with its fence: no packet passes from then on), then the elements that governed their traffic, then
the rest. Adding before removing leaves no gap where one object takes another's place.

What goes with its link is not deleted by itself: addresses, routes, neighbours and settings of an interface that is
deleted. And inside a sandbox nothing is taken from an interface that stands: what is there beyond our own (a
container that runs keepalived or a VPN) is the container's.

Settings of an interface inside a sandbox are made with it; later they are the container's to change.

Neighbour entries are the kernel's cache: one is corrected when its endpoint comes, and its absence later is no fault.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from netloom.model.desired import (
    LINKS,
    Address,
    Bridge,
    Child,
    Desired,
    Element,
    Key,
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

_Place = tuple[str, str]  # sandbox, interface


def diff(desired: Iterable[Desired], observed: Iterable[Desired]) -> list[Step]:
    """The steps from `observed` to `desired`; none when they agree.

    Of observed veths only the host's half is compared, of what stands on a parent only that it is there: MAC and
    name inside are the container's to change.
    """
    wanted = {what.key: what for what in desired}
    observed = list(observed)
    found = {what.key: what for what in observed if not _inner_half(what)}
    inner = {what.index: what for what in observed if isinstance(what, Veth) and what.sandbox}
    replaced = [
        old
        for key, old in found.items()
        if isinstance(old, LINKS) and (new := wanted.get(key)) is not None and _another(new, old)
    ]
    lost = _places([*replaced, *(inner[old.index] for old in replaced if old.index in inner)])
    if lost:
        found = {key: old for key, old in found.items() if old in replaced or not _on(old, lost)}
    stand = [
        what for key, what in wanted.items() if isinstance(what, LINKS) and key in found and found[key] not in replaced
    ]
    standing = {what.peer_mac for what in stand if isinstance(what, Veth)}
    inside = _places(stand)
    steps = [Step("del", old) for old in replaced]
    for key, new in wanted.items():
        old = found.get(key)
        if old is None and isinstance(new, Neighbour) and new.mac in standing:
            continue
        if old is None and isinstance(new, Sysctl) and new.sandbox and _on(new, inside):
            continue
        if old is None or old in replaced:
            steps.append(Step("add", new))
        elif not _same(new, old):
            steps.append(Step("set", new))
    return steps + _deletions(found, wanted)


def absent(desired: Iterable[Desired]) -> list[Step]:
    """The steps that take these objects away."""
    return diff((), desired)


def untouched(objects: Iterable[Desired], steps: Collection[Step]) -> list[Desired]:
    """Those that the steps are not about, and that do not go with a link which these take away."""
    keys = {step.what.key for step in steps}
    places = _places(step.what for step in steps if step.verb == "del")
    return [what for what in objects if what.key not in keys and not _on(what, places)]


def _deletions(found: dict[Key, Desired], wanted: dict[Key, Desired]) -> list[Step]:
    going = [old for key, old in found.items() if key not in wanted]
    gone = _places(old for old in going if isinstance(old, LINKS))
    rest = [old for old in going if not (_on(old, gone) or _containers_own(old) or _never_set(old))]
    rest.reverse()
    return [Step("del", old) for old in sorted(rest, key=_rank)]


def _rank(what: Desired) -> int:
    match what:
        case Veth() | Child() | Shim():
            return 0
        case Bridge() | Parent() | Loop():
            return 1
        case Element():
            return 2
        case _:
            return 3


def _places(links: Iterable[Desired]) -> set[_Place]:
    """The interfaces that go with these links, host's and inner ones."""
    places: set[_Place] = set()
    for link in links:
        if isinstance(link, Child):
            places.add((link.sandbox, link.name))
        elif isinstance(link, LINKS) and link.name:
            places.add(("", link.name))
        if isinstance(link, (Veth, Loop)) and link.peer_name:
            places.add((getattr(link, "sandbox", ""), link.peer_name))
    return places


def _on(what: Desired, places: set[_Place]) -> bool:
    """Does it belong to one of these interfaces?"""
    match what:
        case Address() | Route():
            return (what.sandbox, what.link) in places
        case Neighbour():
            return ("", what.link) in places
        case Port():
            return ("", what.link) in places or ("", what.master) in places
        case Sysctl():
            # net/ipv4/conf/NAME/forwarding; neigh and mpls settings have the same shape
            parts = what.path.split("/")
            return len(parts) == 5 and (what.sandbox, parts[3]) in places
        case _:
            return False


def _containers_own(what: Desired) -> bool:
    return isinstance(what, (Address, Route, Sysctl)) and bool(what.sandbox)


def _never_set(what: Desired) -> bool:
    """Nobody has set it: there is nothing to take back."""
    return isinstance(what, Sysctl) and what.untouched


def _inner_half(what: Desired) -> bool:
    """A veth as seen from inside its sandbox, where the host's name is not known."""
    return isinstance(what, Veth) and not what.name


def _another(new: Desired, old: Desired) -> bool:
    """A link of the same name that cannot be changed into the wanted one."""
    match new, old:
        case Bridge(), Bridge():
            return new.index != old.index
        case Parent(), Parent():
            return (new.index, new.base, new.vlan) != (old.index, old.base, old.vlan)
        case Loop(), Loop():
            return (new.index, new.peer_index, new.peer_name) != (old.index, old.peer_index, old.peer_name)
        case Shim(), Shim():
            return (new.index, new.kind, new.parent, new.mac or old.mac) != (old.index, old.kind, old.parent, old.mac)
        case Child(), Child():
            return new.kind != old.kind
        case Veth(), Veth():
            known = bool(old.sandbox)  # both halves, as a driver tells
            inner = (new.sandbox, new.peer_index, new.peer_name, new.peer_mac)
            return new.index != old.index or (
                known and inner != (old.sandbox, old.peer_index, old.peer_name, old.peer_mac)
            )
        case _:
            return type(new) is not type(old)


def _same(new: Desired, old: Desired) -> bool:
    if isinstance(new, Child) and isinstance(old, Child):
        return not old.parent or new.mtu == old.mtu  # an observed one does not know its parent
    if isinstance(new, Sysctl) and isinstance(old, Sysctl):
        return new.value == old.value
    if isinstance(new, Shim) and isinstance(old, Shim) and not new.mac:
        old = msgspec.structs.replace(old, mac="")
    if isinstance(new, Veth) and isinstance(old, Veth) and not old.sandbox:
        old = msgspec.structs.replace(
            old,
            sandbox=new.sandbox,
            peer_name=new.peer_name,
            peer_index=new.peer_index,
            peer_mac=new.peer_mac,
            peer_ipv6=new.peer_ipv6,
            peer_mtu=new.peer_mtu,
        )
    return new == old
