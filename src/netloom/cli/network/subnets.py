"""`--subnet`, `--ip-range`, `--gateway` and `--aux-address`, each given to the subnet that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_interface, ip_network
from typing import Any

from netloom.cli.errors import CliError


def ipam_config(
    subnets: Sequence[str], ranges: Sequence[str], gateways: Sequence[str], aux: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Entries of `IPAM.Config`. Raises CliError in docker's words for what belongs to no subnet."""
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise CliError("every ip-range or gateway must have a corresponding subnet")
    if not subnets:
        if aux:
            raise CliError(f"no matching subnet for aux-address {next(iter(aux.values()))}")
        return []
    entries: list[dict[str, Any]] = []
    for subnet in subnets:
        if any(_related(subnet, entry["Subnet"]) for entry in entries):
            raise CliError("multiple overlapping subnet configuration is not supported")
        entries.append({"Subnet": subnet})
    for text in ranges:
        entry = _owner(entries, text, "range")
        if "IPRange" in entry:
            both = f"{text}, {entry['IPRange']}"
            raise CliError(f"cannot configure multiple ranges ({both}) on the same subnet ({entry['Subnet']})")
        entry["IPRange"] = text
    for text in gateways:
        entry = _owner(entries, text, "gateway")
        if "Gateway" in entry:
            both = f"{text}, {entry['Gateway']}"
            raise CliError(f"cannot configure multiple gateways ({both}) for the same subnet ({entry['Subnet']})")
        entry["Gateway"] = text
    for name, text in aux.items():
        _owner(entries, text, "aux-address").setdefault("AuxiliaryAddresses", {})[name] = text
    return entries


def _owner(entries: list[dict[str, Any]], text: str, what: str) -> dict[str, Any]:
    for entry in entries:
        if _contains(entry["Subnet"], text) or (what == "range" and _related(entry["Subnet"], text)):
            return entry
        if not _readable(entry["Subnet"]):
            raise CliError(f"invalid subnet: invalid CIDR address: {entry['Subnet']}")
    raise CliError(f"no matching subnet for {what} {text}")


def _readable(subnet: str) -> bool:
    try:
        ip_network(subnet, strict=False)
    except ValueError:
        return False
    return True


def _contains(subnet: str, text: str) -> bool:
    try:
        return ip_interface(text).ip in ip_network(subnet, strict=False)
    except (ValueError, TypeError):
        return False


def _related(subnet: str, other: str) -> bool:
    try:
        return ip_network(subnet, strict=False).overlaps(ip_network(other, strict=False))
    except (ValueError, TypeError):
        return False
