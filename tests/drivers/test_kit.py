"""Every driver passes the driver kit; a kind that this kernel lacks says which module is missing."""

from __future__ import annotations

import pytest
from kinds import need

from netloom.testing.daemons import Daemon
from netloom.testing.driver_checks import CHECKS, Check, Kind

pytestmark = pytest.mark.kernel

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
NEEDED = ("macvlan", "ipvlan", "vlan", "dummy")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_kit(daemon: Daemon, kind: str, check: Check) -> None:
    for word in NEEDED:
        if word in kind.split("-"):
            need(word)
    check(daemon, KINDS[kind])
