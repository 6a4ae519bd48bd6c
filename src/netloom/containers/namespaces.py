"""Which namespaces a container has of its own, which are the host's, and which it shares with another container.

The network is not spoken of here: it has modes and checks of its own.
"""

from __future__ import annotations

from netloom.model.container import ContainerConfig
from netloom.model.errors import InvalidArgument
from netloom.model.host_config import HostConfig

HOST = "host"
_JOIN = "container:"


def target_of(mode: str) -> str | None:
    """The container that a mode names (`container:REF`); None for a mode that names none."""
    return mode.removeprefix(_JOIN) if mode.startswith(_JOIN) else None


def joined(host_config: HostConfig) -> dict[str, str]:
    """The containers whose namespaces are shared, by the namespace's kind in the OCI spec."""
    asked = {"pid": host_config.pid_mode, "ipc": host_config.ipc_mode}
    return {kind: target for kind, mode in asked.items() if (target := target_of(mode)) is not None}


def own(host_config: HostConfig) -> list[str]:
    """The kinds of namespaces that are made anew, but for network and cgroup."""
    kinds = ["mount"]
    if not host_config.pid_mode:
        kinds.append("pid")
    if host_config.uts_mode != HOST:
        kinds.append("uts")
    if host_config.ipc_mode != HOST and target_of(host_config.ipc_mode) is None:
        kinds.append("ipc")
    return kinds


def check(config: ContainerConfig, host_config: HostConfig) -> None:
    """Raise InvalidArgument for modes that do not exist, and what contradicts them."""
    pid, ipc, uts = host_config.pid_mode, host_config.ipc_mode, host_config.uts_mode
    if pid not in ("", HOST) and not target_of(pid):
        raise InvalidArgument(f"invalid PID mode: {pid}")
    if ipc not in ("", "none", "private", "shareable", HOST) and target_of(ipc) is None:
        raise InvalidArgument(f"invalid IPC mode: {ipc}")
    if uts not in ("", HOST):
        raise InvalidArgument(f"invalid UTS mode: {uts}")
    if uts == HOST and config.hostname:
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if host_config.cgroupns_mode not in ("", "private", HOST):
        raise InvalidArgument(f"invalid cgroup namespace mode: {host_config.cgroupns_mode}")
    if host_config.userns_mode not in ("", HOST):  # nobody is remapped, so the host's is what everybody has
        raise InvalidArgument(f"invalid USER mode: {host_config.userns_mode}")
