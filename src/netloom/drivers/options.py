"""Options as users write them: Go's notion of numbers and truth, Docker's sentences."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping

from netloom.dns.records import OPTION as RECORDS
from netloom.model.errors import Failed, InvalidArgument
from netloom.model.network import NetworkRequest
from netloom.model.truth import truth_of

PREFIX = "com.docker.network."
PARENT = "parent"  # an interface of the host
ENABLE = {4: f"{PREFIX}enable_ipv4", 6: f"{PREFIX}enable_ipv6"}

_OF_ALL = (*ENABLE.values(), RECORDS)  # understood for every driver, elsewhere

_INT64 = 2**63


def parse_bool(key: str, value: str) -> bool:
    """Raises InvalidArgument."""
    truth = truth_of(value)
    if truth is None:
        raise _unparsed(key, value, f'strconv.ParseBool: parsing "{value}": invalid syntax')
    return truth


def parse_int(key: str, value: str) -> int:
    """A decimal number of 64 bits with its sign. Raises InvalidArgument."""
    if not re.fullmatch(r"[+-]?[0-9]+", value, re.ASCII):
        raise _unparsed(key, value, f'strconv.Atoi: parsing "{value}": invalid syntax')
    number = int(value)
    if not -_INT64 <= number < _INT64:
        raise _unparsed(key, value, f'strconv.Atoi: parsing "{value}": value out of range')
    return number


def parse_ip(key: str, value: str) -> str:
    """An address of either family. Raises InvalidArgument."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise _unparsed(key, value, "nil ip") from None


def parse_in_range(key: str, value: str, low: int, high: int, kind: str) -> int:
    """A whole number of low to high. Raises Failed: with Docker these sentences have status 500."""
    if not re.fullmatch(r"[+-]?[0-9]+", value, re.ASCII):
        raise Failed(f'value for option {key} "{value}" must be {kind}')
    if not low <= int(value) <= high:
        raise Failed(f"{key} must be in the range {low} to {high}")
    return int(value)


def enabled(request: NetworkRequest) -> tuple[bool, bool]:
    """Does the network have IPv4, IPv6? The request's own fields win over the options. Raises InvalidArgument."""
    families = []
    for family, asked in ((4, request.ipv4), (6, request.ipv6)):
        text = request.options.get(ENABLE[family])
        if asked is None and text is not None:
            asked = truth_of(text)  # noqa: PLW2901 - the option stands in for the field
            if asked is None:
                raise InvalidArgument(f'driver-opt "{ENABLE[family]}" is not a valid bool')
        families.append(family == 4 if asked is None else asked)
    return families[0], families[1]


def refuse_unknown(options: Mapping[str, str], known: Collection[str], driver: str) -> None:
    """An option that nobody reads would be a promise that nobody keeps. Raises InvalidArgument."""
    for key in sorted(options):
        if key not in known and key not in _OF_ALL:
            remedy = f"known are {', '.join(sorted((*known, RECORDS)))}" if known else "it takes none"
            raise InvalidArgument(f"unknown option {key} for network driver {driver}", remedy=remedy)


def _unparsed(key: str, value: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"failed to parse {key} value: {value} ({reason})")
