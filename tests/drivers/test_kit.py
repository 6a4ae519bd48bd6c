"""Every driver passes the driver kit; a kind that this kernel lacks says which module is missing."""

from __future__ import annotations

import subprocess
from functools import cache

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.driver_checks import CHECKS, Check, Kind
from netloom.testing.hosts import Netns

ON = ("-o", "parent=eth0")
KINDS = {
    "bridge": Kind("bridge"),
    "macvlan": Kind("macvlan", ON),
    "macvlan-vlan": Kind("macvlan", ("-o", "parent=eth0.7")),
    "macvlan-dummy": Kind("macvlan", internal=True),
    "ipvlan-l2": Kind("ipvlan", ON, own_mac=False),
    "ipvlan-l3": Kind("ipvlan", (*ON, "-o", "ipvlan_mode=l3"), own_mac=False, gateway=False),
    "ipvlan-l3s": Kind("ipvlan", (*ON, "-o", "ipvlan_mode=l3s"), own_mac=False, gateway=False),
    "ipvlan-vlan": Kind("ipvlan", ("-o", "parent=eth0.7"), own_mac=False),
    "ipvlan-dummy": Kind("ipvlan", own_mac=False, internal=True),
}
NEEDED = {"vlan": "vlan", "dummy": "dummy", "ipvlan": "ipvlan", "macvlan": "macvlan"}


@cache
def lacks(kind: str) -> bool:
    with Netns() as box:
        box.run("ip", "link", "add", "below", "type", "veth", "peer", "name", "other")
        extra = ("id", "7") if kind == "vlan" else ()
        below = () if kind == "dummy" else ("link", "below")
        command = box.command("ip", "link", "add", *below, "probe", "type", kind, *extra)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return "Unknown device type" in done.stderr


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_kit(daemon: Daemon, kind: str, check: Check) -> None:
    for word, needed in NEEDED.items():
        if word in kind.split("-") and lacks(needed):
            pytest.skip(f"this kernel has no {needed}; run it by `make lab`")
    check(daemon, KINDS[kind])
