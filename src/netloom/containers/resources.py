"""Limits of a container: checked as Docker checks them, and as the OCI spec says them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from netloom.containers.sysctls import CREATE_PREFIX
from netloom.model.errors import Failed, InvalidArgument, Unsupported
from netloom.model.host_config import HostConfig, ThrottleDevice, WeightDevice

MINIMUM_MEMORY = 6 * 1024 * 1024  # bytes; less does not even start the program (Docker's figure)
CPU_PERIOD = 100_000  # µs
OOM_WARNING = (
    "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out "
    "of resources."
)
SWAP = "swap"  # among the controllers of a host whose cgroups count swap
SWAP_WARNING = (
    "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
)
_NANO = 1_000_000_000
_HIGHEST_CPU = 8192  # Docker's bound on what it parses


def check(host_config: HostConfig, *, cpus: int = 0, update: bool = False) -> None:
    """Raise InvalidArgument for limits out of range. `cpus`: how many the host has, 0 for not known.

    `update`: limits that are left out stand already, so they cannot be missed.
    """
    _check_memory(host_config, update=update)
    _check_cpu(host_config, cpus)
    for number, name in ((host_config.blkio_weight, "Block I/O weight"),):
        if number and not 10 <= number <= 1000:
            raise InvalidArgument(f"range of {name} is from 10 to 1000")
    if not -1000 <= host_config.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {host_config.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if host_config.shm_size < 0:
        raise InvalidArgument("SHM size can not be less than 0")


def warnings(host_config: HostConfig) -> list[str]:
    """What Docker warns of."""
    return [OOM_WARNING] if host_config.oom_kill_disable and not host_config.memory else []


def without_swap(host_config: HostConfig) -> HostConfig:
    """As Docker records it on a host that does not count swap: no limit of it."""
    return msgspec.structs.replace(host_config, memory_swap=-1)


def counted(resources: Mapping[str, Any], controllers: Iterable[str]) -> dict[str, Any]:
    """`linux.resources` without the limit of swap on a host that does not count it."""
    memory = resources.get("memory", {})
    if "swap" not in memory or SWAP in controllers:
        return dict(resources)
    return {**resources, "memory": {name: value for name, value in memory.items() if name != "swap"}}


def _check_memory(host_config: HostConfig, *, update: bool) -> None:
    memory, swap, reservation = host_config.memory, host_config.memory_swap, host_config.memory_reservation
    if memory and memory < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if memory and 0 < swap < memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not memory and swap > 0 and not update:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    swappiness = host_config.memory_swappiness
    if swappiness is not None and not -1 <= swappiness <= 100:
        raise InvalidArgument(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if 0 < reservation < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if 0 < memory < reservation:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_cpu(host_config: HostConfig, cpus: int) -> None:
    nano, period, quota = host_config.nano_cpus, host_config.cpu_period, host_config.cpu_quota
    for given, name in ((period, "CPU Period"), (quota, "CPU Quota")):
        if nano and given:
            raise InvalidArgument(f"Conflicting options: Nano CPUs and {name} cannot both be set")
    if nano and (nano < _NANO // 100 or (cpus and nano > cpus * _NANO)):
        raise InvalidArgument(
            f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
            if cpus
            else "range of CPUs begins at 0.01"
        )
    if host_config.cpu_shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({host_config.cpu_shares}): value must be a positive integer")
    if period and not 1000 <= period <= 1_000_000:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if host_config.cpu_realtime_period and host_config.cpu_realtime_runtime > host_config.cpu_realtime_period:
        raise InvalidArgument("cpu real-time runtime cannot be higher than cpu real-time period")
    asked = cpu_list(host_config.cpuset_cpus, "cpuset cpus")
    if cpus and asked and max(asked) >= cpus:
        raise InvalidArgument(
            f"Requested CPUs are not available - requested {host_config.cpuset_cpus}, available: {_all(cpus)}"
        )
    cpu_list(host_config.cpuset_mems, "cpuset mems")


def _all(count: int) -> str:
    return f"0-{count - 1}" if count > 1 else "0"


def cpu_list(text: str, what: str) -> set[int]:
    """`0-2,5` as numbers (cpuset(7), list format). Raises InvalidArgument in Docker's words."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        bounds = (first, last if dash else first)
        if not all(bound.isascii() and bound.isdigit() and len(bound) < 20 for bound in bounds):
            raise InvalidArgument(f"Invalid value {text} for {what}: invalid format: {part}")
        low, high = map(int, bounds)
        if low > high:
            raise InvalidArgument(f"Invalid value {text} for {what}: invalid format: {part}")
        if high > _HIGHEST_CPU:
            raise InvalidArgument(f"Invalid value {text} for {what}: value of out range, maximum is {_HIGHEST_CPU}")
        found.update(range(low, high + 1))
    return found


def limits(host_config: HostConfig) -> dict[str, Any]:
    """`linux.resources` of the spec, but for devices. Block devices are still named by path (`blockIO`).

    Raises Failed with the sentence that Docker's start gives.
    """
    parts = {"memory": _memory(host_config), "cpu": _cpu(host_config), "blockIO": _block_io(host_config)}
    if host_config.pids_limit is not None and host_config.pids_limit > 0:
        parts["pids"] = {"limit": host_config.pids_limit}
    return {name: part for name, part in parts.items() if part}


def _memory(host_config: HostConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if host_config.memory:
        found["limit"] = host_config.memory
        if host_config.memory_swap >= 0:
            # As Docker: as much swap again where swap is counted at all.
            found["swap"] = host_config.memory_swap or host_config.memory * 2
    if host_config.memory_reservation > 0:
        found["reservation"] = host_config.memory_reservation
    if host_config.memory_swappiness is not None and host_config.memory_swappiness >= 0:
        found["swappiness"] = host_config.memory_swappiness
    if host_config.oom_kill_disable:
        found["disableOOMKiller"] = True
    return found


def _cpu(host_config: HostConfig) -> dict[str, Any]:
    if host_config.cpu_shares == 1:
        raise Failed(
            f"{CREATE_PREFIX}unable to start container process: error during container init: error setting cgroup "
            "config for procHooks process: the minimum allowed cpu-shares is 2"
        )
    period, quota = host_config.cpu_period, host_config.cpu_quota
    if host_config.nano_cpus:
        period, quota = CPU_PERIOD, host_config.nano_cpus * CPU_PERIOD // _NANO
    found = {
        "shares": host_config.cpu_shares,
        "period": period,
        "quota": max(0, quota),
        "realtimePeriod": host_config.cpu_realtime_period,
        "realtimeRuntime": host_config.cpu_realtime_runtime,
        "cpus": host_config.cpuset_cpus,
        "mems": host_config.cpuset_mems,
    }
    return {name: value for name, value in found.items() if value}


def _block_io(host_config: HostConfig) -> dict[str, Any]:
    found: dict[str, Any] = {"weight": host_config.blkio_weight} if host_config.blkio_weight else {}
    devices: dict[str, Sequence[WeightDevice | ThrottleDevice] | None] = {
        "weightDevice": host_config.blkio_weight_device,
        "throttleReadBpsDevice": host_config.blkio_device_read_bps,
        "throttleWriteBpsDevice": host_config.blkio_device_write_bps,
        "throttleReadIOPSDevice": host_config.blkio_device_read_iops,
        "throttleWriteIOPSDevice": host_config.blkio_device_write_iops,
    }
    for name, rows in devices.items():
        if rows:
            found[name] = [
                {"path": row.path, "weight": row.weight}
                if isinstance(row, WeightDevice)
                else {"path": row.path, "rate": row.rate}
                for row in rows
            ]
    return found


# The cgroup controller behind each part of `linux.resources`.
_CONTROLLERS = {
    1: {"memory": "memory", "cpu": "cpu", "cpuset": "cpuset", "pids": "pids", "blockIO": "blkio"},
    2: {"memory": "memory", "cpu": "cpu", "cpuset": "cpuset", "pids": "pids", "blockIO": "io"},
}
_ENABLE = {"memory": "cgroup_enable=memory on the kernel's command line"}
_ONLY_V1 = {"swappiness": "memory swappiness", "disableOOMKiller": "disabling the OOM killer"}


def require_controllers(resources: Mapping[str, Any], controllers: Iterable[str], *, version: int) -> None:
    """Raise Unsupported naming the first limit whose cgroup controller the host lacks. `version` is 1 or 2."""
    present = frozenset(controllers)
    cpu = resources.get("cpu", {})
    asked = {
        "memory": "memory" in resources,
        "cpu": bool(cpu.keys() - {"cpus", "mems"}),
        "cpuset": bool(cpu.keys() & {"cpus", "mems"}),
        "pids": "pids" in resources,
        "blockIO": "blockIO" in resources,
    }
    for part, wanted in asked.items():
        controller = _CONTROLLERS[version][part]
        if wanted and controller not in present:
            raise Unsupported(
                f"a {controller} limit needs the cgroup controller {controller}, which this host does not have",
                remedy=f"leave the limit out, or enable the controller ({_ENABLE.get(controller, 'in the kernel')})",
            )
    memory = resources.get("memory", {})
    for key, what in _ONLY_V1.items():
        if version == 2 and key in memory:
            raise Unsupported(f"{what} needs cgroup v1, and this host has v2", remedy="leave it out")
