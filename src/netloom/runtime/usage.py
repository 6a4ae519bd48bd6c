"""Samples of what a container uses: its cgroup's counters, v1 and v2, and its interfaces' from inside.

Call from a thread of the wrapper. What is missing, because the host has no such controller or because the container has
just ended, counts as nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from netloom.model.usage import BlockCount, InterfaceCounters, Throttling, Usage
from netloom.runtime.wrapper import CGROUPS

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")  # ns
_MICRO = 1000
_V1_OWN = "dirty hierarchical_memory_limit hierarchical_memsw_limit"
_V1_BOTH = (
    "active_anon active_file cache dirty inactive_anon inactive_file mapped_file pgfault pgmajfault pgpgin pgpgout rss "
    "rss_huge unevictable writeback"
)
# What Docker tells of memory.stat (memory.rst of the kernel's cgroup-v1 documentation).
_V1_MEMORY = frozenset([*_V1_OWN.split(), *_V1_BOTH.split(), *(f"total_{name}" for name in _V1_BOTH.split())])
_V2_MEMORY = frozenset(
    "anon file kernel_stack slab sock shmem file_mapped file_dirty file_writeback anon_thp inactive_anon active_anon "
    "inactive_file active_file unevictable slab_reclaimable slab_unreclaimable pgfault pgmajfault workingset_refault "
    "workingset_activate workingset_nodereclaim pgrefill pgscan pgsteal pgactivate pgdeactivate pglazyfree "
    "pglazyfreed thp_fault_alloc thp_collapse_alloc".split()
)
_V2_BLOCK = {"rbytes": "read", "wbytes": "write"}


def sample(path: str, pid: int, *, version: int) -> Usage:
    """The counters of a cgroup (its path below each hierarchy) and of the namespace of a process, now."""
    system, cpus = machine_cpu(_text("/proc/stat"))
    common: dict[str, Any] = {
        "read": time.time_ns(),
        "system_cpu": system,
        "online_cpus": cpus,
        "networks": interfaces(_text(f"/proc/{pid}/net/dev")),
    }
    counters = _v1(path) if version == 1 else _v2(path)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = counters.pop("memory_limit", 0)
    return Usage(**common, **counters, memory_limit=min(limit, total) if limit else total)


def _v1(path: str) -> dict[str, Any]:
    cpu = _pairs(f"{CGROUPS}/cpuacct{path}/cpuacct.stat")
    throttled = _pairs(f"{CGROUPS}/cpu{path}/cpu.stat")
    memory = f"{CGROUPS}/memory{path}"
    blocks = f"{CGROUPS}/blkio{path}/blkio.throttle."
    return {
        **_pids(f"{CGROUPS}/pids{path}"),
        "cpu_total": _number(f"{CGROUPS}/cpuacct{path}/cpuacct.usage"),
        "cpu_each": tuple(map(int, _text(f"{CGROUPS}/cpuacct{path}/cpuacct.usage_percpu").split())),
        "cpu_user": cpu.get("user", 0) * _TICK,
        "cpu_kernel": cpu.get("system", 0) * _TICK,
        "throttling": Throttling(
            throttled.get("nr_periods", 0), throttled.get("nr_throttled", 0), throttled.get("throttled_time", 0)
        ),
        "memory": _number(f"{memory}/memory.usage_in_bytes"),
        "memory_highest": _number(f"{memory}/memory.max_usage_in_bytes"),
        "memory_failures": _number(f"{memory}/memory.failcnt"),
        "memory_limit": _number(f"{memory}/memory.limit_in_bytes"),
        "memory_stats": _chosen(_pairs(f"{memory}/memory.stat"), _V1_MEMORY),
        "block_bytes": tuple(block_counts(_text(f"{blocks}io_service_bytes_recursive"))),
        "block_operations": tuple(block_counts(_text(f"{blocks}io_serviced_recursive"))),
    }


def _v2(path: str) -> dict[str, Any]:
    folder = CGROUPS + path
    cpu = _pairs(f"{folder}/cpu.stat")
    return {
        **_pids(folder),
        "cpu_total": cpu.get("usage_usec", 0) * _MICRO,
        "cpu_user": cpu.get("user_usec", 0) * _MICRO,
        "cpu_kernel": cpu.get("system_usec", 0) * _MICRO,
        "throttling": Throttling(
            cpu.get("nr_periods", 0), cpu.get("nr_throttled", 0), cpu.get("throttled_usec", 0) * _MICRO
        ),
        "memory": _number(f"{folder}/memory.current"),
        "memory_limit": _number(f"{folder}/memory.max"),
        "memory_stats": _chosen(_pairs(f"{folder}/memory.stat"), _V2_MEMORY),
        "block_bytes": tuple(block_counts_v2(_text(f"{folder}/io.stat"))),
    }


def _pids(folder: str) -> dict[str, Any]:
    return {"pids": _number(f"{folder}/pids.current"), "pids_limit": _number(f"{folder}/pids.max")}


def machine_cpu(text: str) -> tuple[int, int]:
    """All time of all CPUs in ns, and how many there are, out of /proc/stat (proc(5)): user to softirq, as Docker."""
    total = 0
    count = 0
    for line in text.splitlines():
        fields = line.split()
        if fields and fields[0] == "cpu":
            total = sum(map(int, fields[1:8])) * _TICK
        elif fields and fields[0].startswith("cpu"):
            count += 1
    return total, count


def interfaces(text: str) -> dict[str, InterfaceCounters]:
    """The interfaces of /proc/net/dev, but for the loopback."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        if name.strip() != "lo":
            fields = [int(value) for value in rest.split()]
            found[name.strip()] = InterfaceCounters(*fields[0:4], *fields[8:12])
    return found


def block_counts(text: str) -> Iterator[BlockCount]:
    """`254:0 Read 4096` of blkio.throttle.io_service_bytes_recursive."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 3:  # the last line is a total without a device
            major, _, minor = fields[0].partition(":")
            yield BlockCount(int(major), int(minor), fields[1], int(fields[2]))


def block_counts_v2(text: str) -> Iterator[BlockCount]:
    """`254:0 rbytes=4096 wbytes=0 …` of io.stat."""
    for line in text.splitlines():
        device, *fields = line.split()
        major, _, minor = device.partition(":")
        for text_field in fields:
            key, _, value = text_field.partition("=")
            if key in _V2_BLOCK:
                yield BlockCount(int(major), int(minor), _V2_BLOCK[key], int(value))


def _chosen(values: dict[str, int], names: frozenset[str]) -> dict[str, int]:
    return {name: value for name, value in sorted(values.items()) if name in names}


def _pairs(path: str) -> dict[str, int]:
    fields = (line.split() for line in _text(path).splitlines())
    return {field[0]: int(field[1]) for field in fields if len(field) == 2}


def _number(path: str) -> int:
    text = _text(path).strip()
    return int(text) if text.isdigit() else 0  # v2 says "max" for no limit


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:  # no such controller, or the container has just ended
        return ""
