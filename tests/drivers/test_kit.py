"""Every driver passes the driver kit; a kind that this kernel lacks says which module is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.driver_checks import CHECKS, PAIRED, Check, Kind
from netloom.testing.hosts import Netns
from netloom.testing.kinds import need

pytestmark = pytest.mark.kernel

ON = ("-o", "parent=eth0")
KINDS = {
    "bridge": Kind("bridge"),
    "bridge-parent": Kind("bridge", ("-o", "parent=lan{number}")),
    "bridge-vlan": Kind("bridge", ("-o", "parent=lan{number}.7")),
    "bridge-adopted": Kind("bridge", ("-o", "com.docker.network.bridge.name=br{number}")),
    "macvlan": Kind("macvlan", ON),
    "macvlan-host": Kind("macvlan", (*ON, "-o", "host_access=true")),
    "macvlan-vlan": Kind("macvlan", ("-o", "parent=eth0.7")),
    "macvlan-dummy": Kind("macvlan", internal=True),
    "macvlan-passthru": Kind("macvlan", ("-o", "parent=lan{number}", "-o", "macvlan_mode=passthru"), alone=True),
    "device": Kind("device", ("-o", "parent=lan{number}"), alone=True),
    "ipvlan-l2": Kind("ipvlan", ON, own_mac=False),
    "ipvlan-host": Kind("ipvlan", (*ON, "-o", "host_access=true"), own_mac=False),
    "ipvlan-l3": Kind("ipvlan", (*ON, "-o", "ipvlan_mode=l3"), own_mac=False, gateway=False),
    "ipvlan-l3s": Kind("ipvlan", (*ON, "-o", "ipvlan_mode=l3s"), own_mac=False, gateway=False),
    "ipvlan-vlan": Kind("ipvlan", ("-o", "parent=eth0.7"), own_mac=False),
    "ipvlan-dummy": Kind("ipvlan", own_mac=False, internal=True),
}
NEEDED = ("macvlan", "ipvlan", "vlan", "dummy")


@pytest.fixture
def daemon(daemon: Daemon) -> Iterator[Daemon]:
    """On a host that has two more uplinks without addresses, and two bridges of its own."""
    others = [f"{kind}{number}" for kind in ("lan", "br") for number in (1, 2)]
    with Netns() as beyond:
        for number in ("1", "2"):
            peer = ("peer", "name", f"lan{number}", "netns", beyond.netns_path)
            daemon.host.run("ip", "link", "add", f"lan{number}", "up", "type", "veth", *peer)
            daemon.host.run("ip", "link", "add", f"br{number}", "up", "type", "bridge")
        daemon.host.own_links |= {*others}
        yield daemon
        for name in others:
            daemon.host.run("ip", "link", "del", name)
        daemon.host.own_links -= {*others}


EACH = [(kind, check) for kind, of in KINDS.items() for check in CHECKS if not (of.alone and check in PAIRED)]


@pytest.mark.parametrize(("kind", "check"), EACH, ids=lambda of: of if isinstance(of, str) else of.__name__)
def test_kit(daemon: Daemon, kind: str, check: Check) -> None:
    for word in NEEDED:
        if word in kind.split("-"):
            need(word)
    check(daemon, KINDS[kind])
