"""Forwarding between networks and uplinks: switched on where it is needed, and what brings it back.

IPv4 is switched on for each interface by itself. IPv6 has one switch for the whole host, which also makes the kernel
ignore router advertisements unless `accept_ra` is 2. What was switched on is recorded by the caller before it is
applied, with the value it had; what could thereby cross between interfaces of others is dropped by the ruleset.

Somebody may want forwarding after us (Docker, `sysctl -w`), and finds it on. For IPv4 the switch of all interfaces
tells of it, which we leave alone. For IPv6 it is that of interfaces to come, `default`: the kernel switches it on with
the host's; we switch it off again, and whoever wants forwarding switches both on. From then on forwarding is his, with
all that we did for it: nothing is dropped and nothing undone. Each mark is recorded when it has been seen to be off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from netloom.firewall.elements import element
from netloom.firewall.obstacles import rp_filter
from netloom.model.desired import Element, HostFacts, Sysctl
from netloom.model.network import Network

_ALL4, _ALL6 = "net/ipv4/conf/all/forwarding", "net/ipv6/conf/all/forwarding"
_DEFAULT6 = "net/ipv6/conf/default/forwarding"
MARKS = {_ALL4: "net/ipv4/", _DEFAULT6: "net/ipv6/"}  # recorded as off: whose turning on takes over which switches


class Forwarding(Struct, frozen=True):
    """What should stand, in the order in which it may be added, and the record that undoes it."""

    sysctls: tuple[Sysctl, ...]
    elements: tuple[Element, ...]
    undo: tuple[Sysctl, ...]


def watched_paths(links: Iterable[str]) -> list[str]:
    """Sysctls whose present values `forwarding` and `obstacles` need in `HostFacts.sysctls`, where they are there.

    `links` are the host's own interfaces that have routes, the default one or any other.
    """
    paths = [_ALL6, *MARKS, rp_filter("all")]
    for link in links:
        paths += [_forwarding4(link), _accept_ra(link), rp_filter(link)]
    return paths


def bridge_paths(bridges: Iterable[str]) -> list[str]:
    """Likewise of bridges of somebody else, which networks may be on."""
    return [path for b in bridges for path in (_forwarding4(b), _accept_ra(b), f"net/ipv4/conf/{b}/route_localnet")]


def outward_links(facts: HostFacts) -> list[str]:
    """Interfaces by which other hosts are reached: clients come in and answers return by each of them."""
    links = dict.fromkeys([*facts.uplinks, *(route.link for route in facts.routes)])
    return [link for link in links if link != "lo"]


def bridge_sysctls(network: Network, addresses: Sequence[str] = ()) -> list[Sysctl]:
    """What a network's own bridge needs; gone with the bridge, so never undone. `addresses` are the bridge's."""
    sysctls = []
    if network.ipv4 and not network.internal and (not network.lan or any(":" not in a for a in addresses)):
        sysctls.append(Sysctl(path=_forwarding4(network.bridge), value="1"))
    if network.ipv6 and (not network.lan or any(":" in a for a in addresses)):
        # A container must not make itself the host's router.
        sysctls.append(Sysctl(path=_accept_ra(network.bridge), value="0"))
    if network.ipv6 and not network.lan and not network.adopted:
        # The host solicits from the link-local address; while that waits to be nobody else's, nothing is forwarded.
        sysctls.append(Sysctl(path=f"net/ipv6/conf/{network.bridge}/accept_dad", value="0"))
        sysctls.append(
            Sysctl(path=f"net/ipv6/conf/{network.bridge}/forwarding", value="1")
        )  # a router to its neighbours
    return sysctls


def forwarding(networks: Iterable[Network], facts: HostFacts, recorded: Sequence[Sysctl] = ()) -> Forwarding:
    """The host's switches for these networks; `recorded` is the `undo` of an earlier call, or nothing.

    Without a network that needs it the result is the recorded values, and nothing is left to undo. A switch that
    was on already is nobody's to undo and makes no element.
    """
    outward = [n for n in networks if n.bridge and not n.internal and not n.lan]
    adopted = [n.bridge for n in outward if n.adopted and n.bridge in facts.links]
    links = list(dict.fromkeys([*outward_links(facts), *adopted]))
    now = dict(facts.sysctls)
    before = {s.path: s.value for s in recorded}
    taken = tuple(family for mark, family in MARKS.items() if before.get(mark) == "0" and now.get(mark) == "1")
    before = {path: value for path, value in before.items() if not path.startswith(taken)}
    wanted: dict[str, str] = {}
    if any(n.ipv4 for n in outward):
        wanted |= {_forwarding4(link): "1" for link in links}
    if any(n.ipv6 for n in outward):
        # Before the switch: it throws away the default routes that routers have advertised.
        for link in links:
            path = _accept_ra(link)
            if before.get(path, now.get(path)) == "1":
                wanted[path] = "2"
        wanted[_ALL6] = "1"
    undo = tuple(
        Sysctl(path=path, value=former)
        for path, value in wanted.items()
        if (former := before.get(path, now.get(path, value))) != value
    )
    restored = [Sysctl(path=path, value=value) for path, value in before.items() if path not in {*wanted, *MARKS}]
    switched = [Sysctl(path=s.path, value=wanted[s.path]) for s in undo]
    ours = [s.path for s in undo if s.path.endswith("/forwarding")]
    if _ALL6 in ours and _DEFAULT6 in now:
        switched.append(Sysctl(path=_DEFAULT6, value="0"))
    elements = [element("uplinks", (uplink,)) for uplink in facts.uplinks]
    elements += [_kept_out(path) for path in ours]
    marks = [Sysctl(path=mark, value="0") for mark in MARKS if _marked(mark, ours, before, now)]
    return Forwarding(sysctls=(*restored, *switched), elements=tuple(elements), undo=(*undo, *marks))


def there_already(switches: Forwarding, facts: HostFacts) -> list[Sysctl]:
    """What is thrown and need not be written; `default` needs it whenever the host's switch is written."""
    now, thrown = dict(facts.sysctls), {s.path for s in switches.undo} | {*MARKS}
    there = [s for s in switches.sysctls if s.path in thrown and now.get(s.path) == s.value]
    return there if any(s.path == _ALL6 for s in there) else [s for s in there if s.path != _DEFAULT6]


def _marked(mark: str, ours: Sequence[str], before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Is it off for all we know, beside switches of ours? `default` is on until it has followed the host's."""
    if not any(path.startswith(MARKS[mark]) for path in ours):
        return False
    return mark in before or (now.get(mark) == "0" and (mark == _ALL4 or _ALL6 in before))


def _kept_out(path: str) -> Element:
    """The element that keeps others' traffic as it was."""
    if path == _ALL6:
        return element("switched_family", ("ipv6",))
    return element("switched", (path.split("/")[3],))


def _forwarding4(link: str) -> str:
    return f"net/ipv4/conf/{link}/forwarding"


def _accept_ra(link: str) -> str:
    return f"net/ipv6/conf/{link}/accept_ra"
