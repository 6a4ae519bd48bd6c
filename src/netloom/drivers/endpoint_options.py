"""The driver options of an endpoint: the name of its interface, and sysctls of that interface."""

from __future__ import annotations

import re
from collections.abc import Mapping

from netloom.model.errors import InvalidArgument

PREFIX = "com.docker.network.endpoint."
IFNAME = f"{PREFIX}ifname"
SYSCTLS = f"{PREFIX}sysctls"
KNOWN = (IFNAME, SYSCTLS)

_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.[^.\s/=]+\.IFNAME\.[^.\s/=]+=[^\s]*", re.ASCII | re.IGNORECASE)

_PLACE = re.compile(r"\.IFNAME\.", re.IGNORECASE)  # the docker CLI sends all of `--network …,driver-opt=` in lower case


def endpoint_options(driver_opts: Mapping[str, str], name: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Name of the inner interface (`name` where none is asked for) and its sysctls, (dotted path, value).

    Raises InvalidArgument.
    """
    if faults := endpoint_faults(driver_opts):
        raise InvalidArgument(faults[0])
    name = driver_opts.get(IFNAME) or name
    # The file's path is derived from dots, so a dot of the name itself is written as a slash (sysctl.d(5)).
    place = name.replace(".", "/")
    sysctls = []
    for setting in driver_opts[SYSCTLS].split(",") if SYSCTLS in driver_opts else ():
        path, _, value = setting.partition("=")
        sysctls.append((_PLACE.sub(f".{place}.", path), value))
    return name, tuple(sysctls)


def endpoint_faults(driver_opts: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with them, each a sentence; for the list that Docker's answer joins."""
    faults = []
    for key in sorted(driver_opts):
        if key not in KNOWN:
            faults.append(f"unknown endpoint option {key}: known are {', '.join(KNOWN)}")
    name = driver_opts.get(IFNAME, "")
    if len(name.encode()) > 15 or name in (".", "..", "lo", "all", "default") or re.search(r"[\s/:%]", name):
        faults.append(f"invalid {IFNAME} value: {name}: it cannot be the name of an interface in a container")
    for setting in driver_opts[SYSCTLS].split(",") if SYSCTLS in driver_opts else ():
        if not _SYSCTL.fullmatch(setting):
            faults.append(
                f"unrecognised network interface sysctl '{setting}'; represent 'net.X.Y.ethN.Z=V' as"
                " 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
    return faults
