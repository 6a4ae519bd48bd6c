"""The driver options of an endpoint: its interface's name and sysctls, and further addresses that it may send from."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from netloom.model.endpoint import SYSCTLS
from netloom.model.errors import InvalidArgument

PREFIX = "com.docker.network.endpoint."
IFNAME = f"{PREFIX}ifname"
ADDRESSES = "netloom.endpoint.addresses"
KNOWN = (IFNAME, SYSCTLS, ADDRESSES)

_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.[^.\s/=]+\.IFNAME\.[^.\s/=]+=[^\s]*", re.ASCII | re.IGNORECASE)

_PLACE = re.compile(r"\.IFNAME\.", re.IGNORECASE)  # the docker CLI sends all of `--network …,driver-opt=` in lower case


def endpoint_options(
    driver_opts: Mapping[str, str], name: str, driver: str = "bridge"
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Name of the inner interface (`name` where none is asked for) and its sysctls, (dotted path, value).

    Raises InvalidArgument.
    """
    if faults := endpoint_faults(driver_opts, driver):
        raise InvalidArgument(faults[0])
    name = driver_opts.get(IFNAME) or name
    # The file's path is derived from dots, so a dot of the name itself is written as a slash (sysctl.d(5)).
    place = name.replace(".", "/")
    sysctls = []
    for setting in driver_opts[SYSCTLS].split(",") if SYSCTLS in driver_opts else ():
        path, _, value = setting.partition("=")
        sysctls.append((_PLACE.sub(f".{place}.", path), value))
    return name, tuple(sysctls)


def further_addresses(driver_opts: Mapping[str, str]) -> tuple[str, ...]:
    """Addresses beside those that were allotted from which the endpoint may send (of options without faults)."""
    return tuple(str(ipaddress.ip_address(a)) for a in _listed(driver_opts, ADDRESSES))


def endpoint_faults(driver_opts: Mapping[str, str], driver: str = "bridge") -> list[str]:
    """Everything that is wrong with them, each a sentence; for the list that Docker's answer joins."""
    faults = []
    if driver != "bridge" and ADDRESSES in driver_opts:
        faults.append(
            f"option {ADDRESSES} means nothing on a {driver} network, where a container may send from any address:"
            " leave it out"
        )
    for key in sorted(driver_opts):
        if key not in KNOWN:
            faults.append(f"unknown endpoint option {key}: known are {', '.join(KNOWN)}")
    name = driver_opts.get(IFNAME, "")
    if len(name.encode()) > 15 or name in (".", "..", "lo", "all", "default") or re.search(r"[\s/:%]", name):
        faults.append(f"invalid {IFNAME} value: {name}: it cannot be the name of an interface in a container")
    for address in _listed(driver_opts, ADDRESSES):
        if not _is_host(address):
            faults.append(f"invalid {ADDRESSES} value: {address}: it is a list of addresses without prefix lengths")
    for setting in driver_opts[SYSCTLS].split(",") if SYSCTLS in driver_opts else ():
        if not _SYSCTL.fullmatch(setting):
            faults.append(
                f"unrecognised network interface sysctl '{setting}'; represent 'net.X.Y.ethN.Z=V' as"
                " 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
    return faults


def _listed(driver_opts: Mapping[str, str], key: str) -> list[str]:
    """The docker CLI splits its own options at commas, so blanks do as well."""
    return driver_opts.get(key, "").replace(",", " ").split()


def _is_host(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text and not (address.is_multicast or address.is_unspecified or address.is_loopback)
