"""What a create request may ask and netloom does not carry out yet: a key at any other than its neutral value is
refused by name, never ignored. Keys that are carried out do not appear here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netloom.model.errors import Unsupported

Neutral = Callable[[Any], bool]


def _zero(value: Any) -> bool:
    return not value


def _one_of(*values: Any) -> Neutral:
    return lambda value: value in values


# What each key may be although it is not carried out. `docker create` sends all of them, at these values.
HOST_CONFIG: dict[str, Neutral] = {
    **dict.fromkeys(
        (
            "StorageOpt",
            "GroupAdd",
            "Cgroup",
            "PidMode",
            "SecurityOpt",
            "UTSMode",
            "CpuShares",
            "CgroupParent",
            "BlkioWeight",
            "BlkioWeightDevice",
            "BlkioDeviceReadBps",
            "BlkioDeviceWriteBps",
            "BlkioDeviceReadIOps",
            "BlkioDeviceWriteIOps",
            "CpuPeriod",
            "CpuQuota",
            "CpuRealtimePeriod",
            "CpuRealtimeRuntime",
            "CpusetCpus",
            "CpusetMems",
            "Devices",
            "DeviceCgroupRules",
            "DeviceRequests",
            "KernelMemory",
            "KernelMemoryTCP",
            "MemoryReservation",
            "MemorySwap",
            "OomKillDisable",
            "Ulimits",
            "CpuCount",
            "CpuPercent",
            "IOMaximumIOps",
            "IOMaximumBandwidth",
        ),
        _zero,
    ),
    "CgroupnsMode": _one_of("", "private"),
    "IpcMode": _one_of("", "private"),
    "UsernsMode": _one_of("", "host"),  # there is no remapping to leave
    "Runtime": _one_of("", "crun"),
    "Isolation": _one_of("", "default"),
    "MemorySwappiness": _one_of(-1),
    # An empty list means: nothing masked (`--security-opt systempaths=unconfined`).
    "MaskedPaths": lambda value: False,
    "ReadonlyPaths": lambda value: False,
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
    _refuse_logging(host.get("LogConfig", {}))


def _refuse(given: Mapping[str, Any], table: Mapping[str, Neutral], prefix: str) -> None:
    for key, value in given.items():
        neutral = table.get(key)
        if neutral is not None and not neutral(value):
            raise Unsupported(f"{prefix}{key} is not supported by netloom yet", remedy="leave it at its default")


def _refuse_logging(config: Mapping[str, Any]) -> None:
    if config.get("Type", "") not in ("", "json-file"):
        raise Unsupported(f'logger: log driver "{config["Type"]}" is not supported by netloom, only json-file is')
    if config.get("Config"):
        raise Unsupported("HostConfig.LogConfig.Config is not supported by netloom yet: remove the log options")
