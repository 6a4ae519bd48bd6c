"""What a create request may ask and netloom does not carry out yet: a key at any other than its neutral value is
refused by name, never ignored. Keys that are carried out do not appear here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netloom.model.errors import InvalidArgument, Unsupported

Neutral = Callable[[Any], bool]


def _zero(value: Any) -> bool:
    return not value


# What each key may be although it is not carried out. `docker create` sends all of them, at these values.
HOST_CONFIG: dict[str, Neutral] = {
    **dict.fromkeys(
        (
            "Cgroup",
            "KernelMemory",
            "KernelMemoryTCP",
            "CpuCount",
            "CpuPercent",
        ),
        _zero,
    ),
}
CONFIG: dict[str, Neutral] = {
    "NetworkDisabled": _zero,
    "ArgsEscaped": _zero,
}


def refuse_unsupported(request: Mapping[str, Any]) -> None:
    """Raise Unsupported for the first key of a decoded create request that netloom would have to ignore."""
    _refuse(request, CONFIG, "")
    host = request.get("HostConfig", {})
    _refuse(host, HOST_CONFIG, "HostConfig.")
    _refuse_foreign(host)


def _refuse(given: Mapping[str, Any], table: Mapping[str, Neutral], prefix: str) -> None:
    for key, value in given.items():
        neutral = table.get(key)
        if neutral is not None and not neutral(value):
            raise Unsupported(f"{prefix}{key} is not supported by netloom yet", remedy="leave it at its default")


def _refuse_foreign(host: Mapping[str, Any]) -> None:
    """What Docker has on other systems, or with other runtimes."""
    runtime, isolation = host.get("Runtime", ""), host.get("Isolation", "")
    if runtime not in ("", "crun"):
        raise InvalidArgument(f"unknown or invalid runtime name: {runtime}", remedy="crun is the only one")
    if isolation not in ("", "default"):
        raise InvalidArgument(f"invalid isolation ({isolation}): linux only supports 'default'")
    for key, name in (("IOMaximumIOps", "IOPs"), ("IOMaximumBandwidth", "bandwidth")):
        if host.get(key):
            raise InvalidArgument(f"invalid option: QoS maximum {name} configuration is not supported on linux")
