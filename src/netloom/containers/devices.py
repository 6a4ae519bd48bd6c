"""Devices of a container: those every container has, those asked for, and what it may do with them."""

from __future__ import annotations

import re
from typing import Any

from netloom.model.errors import Failed, InvalidArgument
from netloom.model.host_config import HostConfig

ALLOW_ALL = {"allow": True, "access": "rwm"}

# The devices that every container has (crun makes them), and may make: numbers from the kernel's devices.txt.
_OWN = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (10, 200))
_PTY_MAJOR = 136

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})", re.ASCII)
_MAXIMUM = (1 << 32) - 1  # of a device's number; the kernel refuses more


def check(host_config: HostConfig) -> None:
    """Raise InvalidArgument for permissions that no device has."""
    for device in host_config.devices or ():
        access = device.cgroup_permissions
        if not access or set(access) - set("rwm"):
            raise InvalidArgument(f"bad mode specified: {access}", remedy=f"{device.path_on_host} takes r, w and m")


def rules(host_config: HostConfig) -> list[dict[str, Any]]:
    """`linux.resources.devices`, but for devices asked for by path. Raises Failed for a rule that cannot be read."""
    if host_config.privileged:
        return [dict(ALLOW_ALL)]
    found: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    found += [{"allow": True, "type": kind, "access": "m"} for kind in "cb"]
    found += [{"allow": True, "type": "c", "major": a, "minor": b, "access": "rwm"} for a, b in _OWN]
    found.append({"allow": True, "type": "c", "major": _PTY_MAJOR, "access": "rwm"})
    return found + [_rule(text) for text in host_config.device_cgroup_rules or ()]


def _rule(text: str) -> dict[str, Any]:
    match = _RULE.fullmatch(text)
    if match is None:
        raise Failed(f"invalid device cgroup rule format: '{text}'")
    kind, major, minor, access = match.groups()
    if any(number != "*" and int(number) > _MAXIMUM for number in (major, minor)):
        raise Failed(f"invalid device cgroup rule format: '{text}'", remedy="a device's number has 32 bits")
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
    rule |= {name: int(number) for name, number in (("major", major), ("minor", minor)) if number != "*"}
    return rule


def refuse_requests(host_config: HostConfig) -> None:
    """Nothing here selects devices by capability (`--gpus`): Docker's sentence for a host without such a driver."""
    for request in host_config.device_requests or ():
        if request.driver == "cdi":
            names = ", ".join(request.device_ids or ())
            raise Failed(f"CDI device injection failed: unresolvable CDI devices {names}")
        wanted = " ".join(f"[{' '.join(names)}]" for names in request.capabilities or ())
        raise Failed(f'could not select device driver "{request.driver}" with capabilities: [{wanted}]')
