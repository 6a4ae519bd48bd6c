"""Limits as what is written into a cgroup that stands: the kernel's cgroup-v1 and cgroup-v2 documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

_PERIOD = 100_000  # µs, the kernel's own


class Write(Struct, frozen=True):
    """One write: `name` is the file below the cgroup, in v1 in its controller's hierarchy."""

    controller: str
    name: str
    text: str


def writes(resources: Mapping[str, Any], version: int) -> list[Write]:
    """What changes the limits of the OCI spec's `linux.resources`, in an order that the kernel takes for lower limits.

    Higher ones may need the reverse order. A negative number lifts a limit.
    """
    memory, cpu = resources.get("memory", {}), resources.get("cpu", {})
    parts = (_memory_v1(memory), _cpu_v1(cpu)) if version == 1 else (_memory_v2(memory), _cpu_v2(cpu))
    found = [one for part in parts for one in part]
    found += [Write("cpuset", f"cpuset.{name}", str(cpu[name])) for name in ("cpus", "mems") if name in cpu]
    if "pids" in resources:
        limit = resources["pids"]["limit"]
        found.append(Write("pids", "pids.max", str(limit) if limit > 0 else "max"))
    weight = resources.get("blockIO", {}).get("weight")
    if weight:
        controller, text = ("blkio", str(weight)) if version == 1 else ("io", f"default {weight}")
        found.append(Write(controller, f"{controller}.bfq.weight", text))
    return found


def _memory_v1(memory: Mapping[str, int]) -> Iterator[Write]:
    names = {"limit": "limit_in_bytes", "swap": "memsw.limit_in_bytes", "reservation": "soft_limit_in_bytes"}
    for key, name in names.items():
        if key in memory:
            yield Write("memory", f"memory.{name}", str(memory[key]))


def _memory_v2(memory: Mapping[str, int]) -> Iterator[Write]:
    if "limit" in memory:
        yield Write("memory", "memory.max", str(memory["limit"]))
    if "swap" in memory:  # here it counts without the memory
        swap = memory["swap"]
        yield Write("memory", "memory.swap.max", "max" if swap < 0 else str(max(0, swap - memory.get("limit", 0))))
    if "reservation" in memory:
        yield Write("memory", "memory.low", str(memory["reservation"]))


def _cpu_v1(cpu: Mapping[str, int]) -> Iterator[Write]:
    names = {
        "shares": "shares",
        "period": "cfs_period_us",
        "quota": "cfs_quota_us",
        "realtimePeriod": "rt_period_us",
        "realtimeRuntime": "rt_runtime_us",
    }
    for key, name in names.items():
        if key in cpu:
            yield Write("cpu", f"cpu.{name}", str(cpu[key]))


def _cpu_v2(cpu: Mapping[str, int]) -> Iterator[Write]:
    if "shares" in cpu:  # 2 to 262144 become 1 to 10000
        yield Write("cpu", "cpu.weight", str(1 + (cpu["shares"] - 2) * 9999 // 262142))
    if "quota" in cpu or "period" in cpu:
        quota = cpu.get("quota", -1)
        yield Write("cpu", "cpu.max", f"{quota if quota > 0 else 'max'} {cpu.get('period', _PERIOD)}")
