"""`docker update`: what may be changed of a container that stands, and what becomes of its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from netloom.containers import resources
from netloom.containers.restart import check_policy
from netloom.model.errors import Conflict, Unsupported
from netloom.model.host_config import HostConfig, RestartPolicy

# Zero leaves each of them as it is. By Docker's names.
_LIMITS = {
    "CpuShares": "cpu_shares",
    "Memory": "memory",
    "MemorySwap": "memory_swap",
    "MemoryReservation": "memory_reservation",
    "NanoCpus": "nano_cpus",
    "CpuPeriod": "cpu_period",
    "CpuQuota": "cpu_quota",
    "CpuRealtimePeriod": "cpu_realtime_period",
    "CpuRealtimeRuntime": "cpu_realtime_runtime",
    "CpusetCpus": "cpuset_cpus",
    "CpusetMems": "cpuset_mems",
    "PidsLimit": "pids_limit",
    "BlkioWeight": "blkio_weight",
}


class Update(msgspec.Struct, frozen=True):
    """What was asked: limits by the names of HostConfig's fields, and a policy or none."""

    limits: dict[str, Any]
    policy: RestartPolicy | None = None


def read_update(body: Mapping[str, Any]) -> Update:
    """The request. Raises Unsupported for what cannot be changed (Docker ignores it), InvalidArgument for a policy."""
    limits = {field: body[key] for key, field in _LIMITS.items() if body.get(key)}
    for key, value in body.items():
        neutral = not value or (key == "MemorySwappiness" and value == -1)
        if key not in _LIMITS and key != "RestartPolicy" and not neutral:
            raise Unsupported(f"{key} of a container that stands cannot be changed", remedy="create it anew")
    return Update(limits, _policy(body.get("RestartPolicy") or {}))


def check_update(update: Update, *, cpus: int = 0) -> None:
    """Raise InvalidArgument for limits out of range. `cpus`: how many the host has, 0 for not known."""
    resources.check(HostConfig(**update.limits), cpus=cpus, update=True)


def _policy(body: Mapping[str, Any]) -> RestartPolicy | None:
    name, count = body.get("Name", ""), body.get("MaximumRetryCount", 0)
    if not name:
        return None
    policy = RestartPolicy(name, count)
    check_policy(policy)
    return policy


def updated(host_config: HostConfig, update: Update) -> HostConfig:
    """The configuration as it becomes. Raises Conflict with Docker's sentence where the two contradict each other."""
    asked, former = update.limits, host_config
    both = "Conflicting options: {} cannot be updated as {} has already been set"
    for key, name in (("cpu_period", "CPU Period"), ("cpu_quota", "CPU Quota")):
        if asked.get("nano_cpus") and getattr(former, key) > 0:
            raise Conflict(both.format("Nano CPUs", name))
        if asked.get(key, 0) > 0 and former.nano_cpus:
            raise Conflict(both.format(name, "NanoCPUs"))
    total = former.memory_swap or 2 * former.memory
    if "memory" in asked and asked["memory"] > total and "memory_swap" not in asked:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    if update.policy is not None and former.auto_remove and update.policy.name != "no":
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
    changed = dict(asked)
    if "memory" in asked and "memory_swap" not in asked:
        changed["memory_swap"] = total  # it does not follow the new limit
    if "pids_limit" in asked:
        changed["pids_limit"] = max(0, asked["pids_limit"])
    if update.policy is not None:
        changed["restart_policy"] = update.policy
    return msgspec.structs.replace(host_config, **changed)


def changed_resources(host_config: HostConfig, update: Update) -> dict[str, Any]:
    """The parts of `linux.resources` that the kernel has to be told of; `host_config` is the updated one."""
    asked = update.limits
    made = resources.limits(host_config)
    parts = {
        "memory": [name for name in asked if name.startswith("memory")],
        "cpu": [name for name in asked if name.startswith(("cpu", "nano"))],
        "pids": [name for name in asked if name == "pids_limit"],
        "blockIO": [name for name in asked if name.startswith("blkio")],
    }
    found = {part: made[part] for part, names in parts.items() if names and part in made}
    if "memory" in found and asked.get("memory_swap", 0) < 0:
        found["memory"]["swap"] = -1
    if asked.get("cpu_quota", 0) < 0:
        found.setdefault("cpu", {})["quota"] = -1
    if parts["pids"] and "pids" not in found:
        found["pids"] = {"limit": -1}
    return found
