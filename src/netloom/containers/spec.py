"""A container as an OCI runtime spec. The runtime adds what only it knows: root, network namespace, cgroup, user ids.

`process.user` is `{"username": NAME}` as asked for; its numbers depend on the root's files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netloom.containers import capabilities, masks, resources, sysctls
from netloom.containers import environment as environments
from netloom.containers.merging import command
from netloom.containers.mount_specs import with_user_mounts
from netloom.model.container import Container
from netloom.model.host_config import HostConfig

OCI_VERSION = "1.0.2"

_NOTHING = ["nosuid", "noexec", "nodev"]
_FILES = (("resolv.conf", "/etc/resolv.conf"), ("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"))

# The devices that every container has (crun makes them), and may make: numbers from the kernel's devices.txt.
_DEVICES = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (10, 200))
_PTY_MAJOR = 136


def environment(container: Container, *, tty: bool | None = None) -> list[str]:
    """The environment but for HOME. `tty` replaces the container's own (an exec's terminal)."""
    wants_term = container.config.tty if tty is None else tty
    return list(environments.assemble(container.config.hostname, tty=wants_term, own=container.config.env or ()))


def runtime_spec(
    container: Container,
    *,
    files: Mapping[str, str],
) -> dict[str, Any]:
    """The whole spec. `files` are the host's paths of hosts, hostname and resolv.conf; a missing one is not mounted.

    Raises Failed for a sysctl that the container's namespaces do not keep to themselves.
    """
    config, host_config = container.config, container.host_config
    privileged = host_config.privileged
    caps = capabilities.effective(host_config)
    spec: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "hostname": config.hostname,
        "root": {"readonly": host_config.readonly_rootfs},
        "annotations": dict(host_config.annotations or {}),
        "process": {
            "terminal": config.tty,
            "user": {"username": config.user},
            "args": command(config),
            "env": environment(container),
            "cwd": config.working_dir or "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), caps),
            "noNewPrivileges": False,
            "oomScoreAdj": host_config.oom_score_adj,
        },
        "mounts": with_user_mounts(
            container,
            _system_mounts(host_config.shm_size, privileged=privileged),
            _file_mounts(files, host_config),
        ),
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "uts", "ipc")],
            "sysctl": _all_sysctls(container),
            "resources": {"devices": _device_rules(privileged=privileged), **resources.limits(host_config)},
            "maskedPaths": [] if privileged else list(masks.MASKED),
            "readonlyPaths": [] if privileged else list(masks.READ_ONLY),
        },
    }
    if config.tty and any(host_config.console_size):
        height, width = host_config.console_size
        spec["process"]["consoleSize"] = {"height": height, "width": width}
    return spec


def _all_sysctls(container: Container) -> dict[str, str]:
    values = sysctls.effective(container.host_config)
    if container.config.domainname:
        values.setdefault("kernel.domainname", container.config.domainname)
    return values


def _system_mounts(shm_size: int, *, privileged: bool) -> list[dict[str, Any]]:
    access = [] if privileged else ["ro"]
    rows = (
        ("/proc", "proc", "proc", _NOTHING),
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        ("/sys", "sysfs", "sysfs", [*_NOTHING, *access]),
        ("/sys/fs/cgroup", "cgroup", "cgroup", [*_NOTHING, *access]),
        ("/dev/mqueue", "mqueue", "mqueue", _NOTHING),
        ("/dev/shm", "tmpfs", "shm", [*_NOTHING, "mode=1777", f"size={shm_size or 67108864}"]),
    )
    return [_mount(*row) for row in rows]


def _file_mounts(files: Mapping[str, str], host_config: HostConfig) -> list[dict[str, Any]]:
    options = ["rbind", "rprivate", *(["ro"] if host_config.readonly_rootfs else [])]
    return [_mount(target, "bind", files[name], options) for name, target in _FILES if name in files]


def _mount(destination: str, kind: str, source: str, options: Sequence[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def _device_rules(*, privileged: bool) -> list[dict[str, Any]]:
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    rules += [{"allow": True, "type": kind, "access": "m"} for kind in "cb"]
    rules += [{"allow": True, "type": "c", "major": a, "minor": b, "access": "rwm"} for a, b in _DEVICES]
    rules.append({"allow": True, "type": "c", "major": _PTY_MAJOR, "access": "rwm"})
    return rules
