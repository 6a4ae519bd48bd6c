"""The drivers, in plain sight."""

from __future__ import annotations

from netloom.drivers.bridge import BridgeDriver
from netloom.drivers.device import DeviceDriver
from netloom.drivers.driver import Driver
from netloom.drivers.host import HostDriver
from netloom.drivers.ipvlan import IpvlanDriver
from netloom.drivers.macvlan import MacvlanDriver
from netloom.drivers.null import NullDriver
from netloom.model.errors import NotFound, Unsupported

BUILT_IN: tuple[Driver, ...] = (
    BridgeDriver(),
    HostDriver(),
    NullDriver(),
    MacvlanDriver(),
    IpvlanDriver(),
    DeviceDriver(),
)
LATER = ("overlay",)

_BY_NAME = {driver.name: driver for driver in BUILT_IN}


def driver(name: str) -> Driver:
    """The driver of this name; empty is `bridge`, as at Docker. Raises NotFound or Unsupported."""
    found = _BY_NAME.get(name or "bridge")
    if found is not None:
        return found
    if name in LATER:
        raise Unsupported(f"network driver {name} is not supported yet", remedy=f"use {', '.join(_BY_NAME)}")
    raise NotFound(f'plugin "{name}" not found')
