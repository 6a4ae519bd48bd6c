"""What a container uses, as the kernel counts it."""

from __future__ import annotations

from msgspec import Struct, field


class Throttling(Struct, frozen=True):
    """Times that it used up its share of the CPUs, and how long it waited for more (ns)."""

    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class BlockCount(Struct, frozen=True):
    """What was done with one block device: bytes or operations, `op` as the kernel names it."""

    major: int
    minor: int
    op: str
    value: int


class InterfaceCounters(Struct, frozen=True):
    """Of one interface inside the container, seen from there. Field names in JSON are Docker's own."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class Usage(Struct, frozen=True, kw_only=True):
    """One sample. Times are ns; what this host does not count is 0, empty, or None for a list."""

    read: int = 0  # ns since the epoch; 0: there is no sample
    pids: int = 0
    pids_limit: int = 0  # 0: none
    cpu_total: int = 0
    cpu_kernel: int = 0
    cpu_user: int = 0
    cpu_each: tuple[int, ...] = ()
    system_cpu: int = 0  # of the whole machine
    online_cpus: int = 0
    throttling: Throttling = Throttling()
    memory: int = 0  # bytes, as are the next two
    memory_highest: int = 0
    memory_limit: int = 0
    memory_failures: int = 0
    memory_stats: dict[str, int] = field(default_factory=dict)
    block_bytes: tuple[BlockCount, ...] | None = None
    block_operations: tuple[BlockCount, ...] | None = None
    networks: dict[str, InterfaceCounters] = field(default_factory=dict)
