"""firewalld: our bridges are put into its zone `trusted` while it runs, over D-Bus, and taken out again.

Nothing is written to its configuration and nothing reloaded: what others changed while it runs stays. A bridge that
somebody has put into a zone is left there. The zone accepts what our bridges send, to the host and beyond it, and
published ports pass firewalld by themselves (`ct status dnat`).
"""

from __future__ import annotations

import os
from collections.abc import Collection

from netloom.kernel.dbus import Bus, BusError
from netloom.model.errors import Unavailable

ZONE = "trusted"
_NAME, _PATH = "org.fedoraproject.FirewallD1", "/org/fedoraproject/FirewallD1"
_ZONES = f"{_NAME}.zone"


def bind(stay: Collection[str], leave: Collection[str]) -> bool:
    """Some bridges in the zone, others out of it; True when something changed.

    Raises Unavailable where no firewalld of this network namespace answers, Failed in its words.
    """
    with Bus() as bus:
        _check(bus.process(_NAME))
        # All are asked: `any` would stop at the first.
        return any([*[_bind(bus, bridge) for bridge in stay], *[_unbind(bus, bridge) for bridge in leave]])


def _check(pid: int) -> None:
    """Is it the one whose rules stand here? A bus is reached from other network namespaces too."""
    if not pid:
        raise Unavailable("firewalld is not on the system's D-Bus")
    try:
        theirs = os.stat(f"/proc/{pid}/ns/net")
    except OSError as error:
        raise Unavailable("the firewalld on the system's D-Bus cannot be looked at") from error
    own = os.stat("/proc/thread-self/ns/net")
    if (theirs.st_dev, theirs.st_ino) != (own.st_dev, own.st_ino):
        raise Unavailable("the firewalld on the system's D-Bus is of another network namespace")


def _bind(bus: Bus, bridge: str) -> bool:
    if _zone_of(bus, bridge):
        return False
    bus.call(_NAME, _PATH, _ZONES, "addInterface", ZONE, bridge)
    return True


def _unbind(bus: Bus, bridge: str) -> bool:
    if _zone_of(bus, bridge) != ZONE:
        return False
    try:
        bus.call(_NAME, _PATH, _ZONES, "removeInterface", ZONE, bridge)
    except BusError as error:
        if "UNKNOWN_INTERFACE" not in str(error):
            raise
        return False
    return True


def _zone_of(bus: Bus, bridge: str) -> str:
    """Empty: in none."""
    found = bus.call(_NAME, _PATH, _ZONES, "getZoneOfInterface", bridge)
    return str(found[0]) if found else ""
