"""Limits of a container: checked as Docker checks them, and as the OCI spec says them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netloom.model.errors import InvalidArgument, Unsupported
from netloom.model.host_config import HostConfig

MINIMUM_MEMORY = 6 * 1024 * 1024  # bytes; less does not even start the program (Docker's figure)
CPU_PERIOD = 100_000  # µs
_NANO = 1_000_000_000


def check(host_config: HostConfig, *, cpus: int = 0) -> None:
    """Raise InvalidArgument for limits out of range. `cpus`: how many the host has, 0 for not known."""
    if host_config.memory and host_config.memory < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    nano = host_config.nano_cpus
    if nano and (nano < _NANO // 100 or (cpus and nano > cpus * _NANO)):
        raise InvalidArgument(
            f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
            if cpus
            else "range of CPUs begins at 0.01"
        )
    if not -1000 <= host_config.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {host_config.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if host_config.shm_size < 0:
        raise InvalidArgument("SHM size can not be less than 0")


def limits(host_config: HostConfig) -> dict[str, Any]:
    """`linux.resources` of the spec, but for devices."""
    found: dict[str, Any] = {}
    if host_config.memory:
        # As Docker: as much swap again where swap is counted at all.
        found["memory"] = {"limit": host_config.memory, "swap": host_config.memory * 2}
    if host_config.nano_cpus:
        found["cpu"] = {"period": CPU_PERIOD, "quota": host_config.nano_cpus * CPU_PERIOD // _NANO}
    if host_config.pids_limit is not None and host_config.pids_limit > 0:
        found["pids"] = {"limit": host_config.pids_limit}
    return found


def require_controllers(resources: dict[str, Any], controllers: Iterable[str]) -> None:
    """Raise Unsupported naming the first limit whose cgroup controller the host lacks."""
    present = frozenset(controllers)
    for controller in ("memory", "cpu", "pids"):
        if controller in resources and controller not in present:
            raise Unsupported(
                f"a {controller} limit needs the cgroup controller {controller}, which this host does not have",
                remedy=f"leave the limit out, or enable the controller ({_ENABLE.get(controller, 'in the kernel')})",
            )


_ENABLE = {"memory": "cgroup_enable=memory on the kernel's command line"}
