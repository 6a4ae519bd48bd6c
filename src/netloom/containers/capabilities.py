"""Linux capabilities of a container (capabilities(7)): Docker's default set, added to and taken from."""

from __future__ import annotations

from collections.abc import Iterable

from netloom.model.errors import InvalidArgument
from netloom.model.host_config import HostConfig

# In the kernel's numbering, 0 to 40 (linux/capability.h).
KNOWN = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
        "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
        "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL "
        "SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
    ).split()
)

DEFAULT = frozenset(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
        "AUDIT_WRITE"
    ).split()
)

ALL = "ALL"


def normalized(names: Iterable[str], field: str) -> tuple[str, ...]:
    """`net_admin` as CAP_NET_ADMIN, and `all` as ALL, each once. Raises InvalidArgument naming the field."""
    found: list[str] = []
    for name in names:
        upper = name.upper()
        if upper != ALL and not upper.startswith("CAP_"):
            upper = f"CAP_{upper}"
        if upper != ALL and upper not in KNOWN:
            raise InvalidArgument(f'invalid {field}: unknown capability: "{upper}"')
        if upper not in found:
            found.append(upper)
    return tuple(found)


def effective(host_config: HostConfig) -> list[str]:
    """What the container gets, in the kernel's order; the runtime cuts off what the daemon itself lacks."""
    if host_config.privileged:
        return list(KNOWN)
    add = normalized(host_config.cap_add or (), "CapAdd")
    drop = normalized(host_config.cap_drop or (), "CapDrop")
    chosen = set() if ALL in drop else set(DEFAULT)
    if ALL in add:
        chosen = set(KNOWN)
    chosen |= set(add)
    chosen -= set(drop)
    return [name for name in KNOWN if name in chosen]


def from_mask(mask: int) -> frozenset[str]:
    """The names behind a bit mask as /proc/PID/status prints it (CapBnd)."""
    return frozenset(name for number, name in enumerate(KNOWN) if mask >> number & 1)
