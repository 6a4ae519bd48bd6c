"""What GET /info tells of this daemon and of what its host can limit."""

from __future__ import annotations

from netloom.containers.resources import SWAP
from netloom.engine.core import Core


def daemon_info(core: Core) -> dict[str, object]:
    """The part that only the engine knows."""
    settings, runtime = core.settings, core.runtime
    limits = runtime.controllers
    return {
        "ID": settings.instance,
        "Name": settings.name,
        "DockerRootDir": settings.state_dir,
        "NEventsListener": core.bus.subscribers,
        "CgroupVersion": str(runtime.cgroup_version),
        "MemoryLimit": "memory" in limits,
        "SwapLimit": SWAP in limits,
        "CpuCfsPeriod": "cpu" in limits,
        "CpuCfsQuota": "cpu" in limits,
        "CPUShares": "cpu" in limits,
        "CPUSet": "cpuset" in limits,
        "PidsLimit": "pids" in limits,
        "OomKillDisable": runtime.cgroup_version == 1 and "memory" in limits,
    }
