"""What the values of some flags must look like. Each gives the value as the daemon wants it, or raises ValueError."""

from __future__ import annotations

import re
import socket

_CAPABILITY_PREFIX = "CAP_"
_STREAMS = ("stdin", "stdout", "stderr")


def is_address(text: str) -> bool:
    """Is it an IPv4 or IPv6 address?"""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False


def is_mac(text: str) -> bool:
    """Is it a MAC address in one of the usual notations?"""
    pairs = re.fullmatch(r"[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}", text, re.I | re.A)
    return bool(pairs or re.fullmatch(r"[0-9a-f]{4}(\.[0-9a-f]{4}){2}", text, re.I | re.A))


def address(text: str) -> str:
    """`--dns`."""
    if not is_address(text.strip()):
        raise ValueError(f"IP address is not correctly formatted: {text}")
    return text.strip()


def capability(text: str) -> str:
    """`net_admin` → `CAP_NET_ADMIN`; `ALL` stays."""
    name = text.strip().upper()
    return name if name == "ALL" or name.startswith(_CAPABILITY_PREFIX) else _CAPABILITY_PREFIX + name


def cpus(text: str) -> str:
    """A number of processors."""
    if not re.fullmatch(r"\d+(\.\d+)?|\.\d+", text, re.A):
        raise ValueError(f"failed to parse {text} as a rational number")
    return text


def extra_host(text: str) -> str:
    """`name:ip` or `name=ip`, brackets around the address taken away."""
    name, mark, target = text.partition("=" if "=" in text else ":")
    if not mark or not name or not target:
        raise ValueError(f'bad format for add-host: "{text}"')
    return f"{name}:{target[1:-1] if target.startswith('[') and target.endswith(']') else target}"


def stream(text: str) -> str:
    """`--attach`."""
    if text.lower() not in _STREAMS:
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()
