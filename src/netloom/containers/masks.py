"""What of the host a container must not see. Docker's lists, and what the image `host` hides besides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)

READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_SECRETS = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-")

# /run is a tmpfs on most hosts, so no root layer shows it; where it is not, its sockets would open the host's services.
_SCRATCH = (("/root", "700"), ("/run", "755"))


def mask_host(spec: dict[str, Any], hidden: Sequence[str], mounted: Sequence[str] = ()) -> dict[str, Any]:
    """The spec for a root that is the host's own.

    `hidden` are netloom's own folders; `mounted` those parts of the system that are file systems of their own, which
    the root layer does not show.
    """
    empty = [
        {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", f"mode={mode}"]}
        for path, mode in _SCRATCH
    ]
    parts = [
        {"destination": path, "type": "bind", "source": path, "options": ["rbind", "ro", "nosuid", "nodev"]}
        for path in mounted
    ]
    mounts = spec["mounts"]
    linux = dict(spec["linux"])
    linux["maskedPaths"] = [*linux.get("maskedPaths", ()), *_SECRETS, *hidden]
    return {**spec, "mounts": [*parts, *empty, *mounts], "linux": linux}
