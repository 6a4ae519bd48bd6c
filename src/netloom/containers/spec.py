"""A container as an OCI runtime spec. The runtime adds what only it knows: root, other namespaces, cgroup, user ids.

`process.user` is `{"username": NAME, "groups": [NAME, …]}` as asked for; its numbers depend on the root's files. Block
devices of limits are named by path, their numbers depend on the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netloom.containers import capabilities, devices, masks, namespaces, resources, rlimits, security, sysctls
from netloom.containers import environment as environments
from netloom.containers.merging import command
from netloom.containers.mount_specs import with_user_mounts
from netloom.model.container import Container
from netloom.model.host_config import HostConfig

OCI_VERSION = "1.0.2"

_NOTHING = ["nosuid", "noexec", "nodev"]
_FILES = (("resolv.conf", "/etc/resolv.conf"), ("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"))

INIT = "/sbin/docker-init"
# What stays writable under a read-only root.
_ALWAYS_WRITABLE = frozenset({"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"})


def environment(container: Container, *, tty: bool | None = None, links: Sequence[str] = ()) -> list[str]:
    """The environment but for HOME. `tty` replaces the container's own (an exec's terminal)."""
    wants_term = container.config.tty if tty is None else tty
    own = container.config.env or ()
    return list(environments.assemble(container.config.hostname, tty=wants_term, own=own, links=links))


def runtime_spec(
    container: Container,
    *,
    files: Mapping[str, str],
    links: Sequence[str] = (),
) -> dict[str, Any]:
    """The whole spec. `files` are the host's paths of hosts, hostname and resolv.conf; a missing one is not mounted.

    `links` is what the environment says of linked containers.

    Raises Failed for a sysctl that the container's namespaces do not keep to themselves.
    """
    config, host_config = container.config, container.host_config
    privileged = host_config.privileged
    caps = capabilities.effective(host_config)
    options = security.parse(host_config.security_opt, privileged=privileged)
    devices.refuse_requests(host_config)
    process = {
        "terminal": config.tty,
        "user": {"username": config.user, "groups": list(host_config.group_add or ())},
        "args": [*((INIT, "--") if has_init(host_config) else ()), *command(config)],
        "env": environment(container, links=links),
        "cwd": config.working_dir or "/",
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), caps),
        "rlimits": rlimits.rlimits(host_config),
        "noNewPrivileges": options.no_new_privileges,
        "oomScoreAdj": host_config.oom_score_adj,
    }
    own = namespaces.own(host_config)
    spec: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "root": {"readonly": host_config.readonly_rootfs},
        "annotations": dict(host_config.annotations or {}),
        "process": process,
        "mounts": with_user_mounts(
            container,
            _system_mounts(host_config, writable_cgroups=options.writable_cgroups),
            file_mounts(files, host_config),
        ),
        "linux": {
            "namespaces": [{"type": kind} for kind in own],
            "sysctl": sysctls.effective(host_config, config.domainname),
            "resources": {"devices": devices.rules(host_config), **resources.limits(host_config)},
            "maskedPaths": _paths(host_config, host_config.masked_paths, masks.MASKED),
            "readonlyPaths": _paths(host_config, host_config.readonly_paths, masks.READ_ONLY),
        },
    }
    if "uts" in own:
        spec["hostname"] = config.hostname
    if config.tty and any(host_config.console_size):
        height, width = host_config.console_size
        process["consoleSize"] = {"height": height, "width": width}
    return spec


def has_init(host_config: HostConfig) -> bool:
    """Does a small init reap the program's children (`--init`)? Not where the first process is another's."""
    return bool(host_config.init) and not host_config.pid_mode


def _paths(host_config: HostConfig, asked: Sequence[str] | None, default: Sequence[str]) -> list[str]:
    if asked is not None:
        return list(asked)
    return [] if host_config.privileged else list(default)


def _system_mounts(host_config: HostConfig, *, writable_cgroups: bool) -> list[dict[str, Any]]:
    access = [] if host_config.privileged else ["ro"]
    cgroup_access = [] if writable_cgroups else access
    rows = [
        ("/proc", "proc", "proc", _NOTHING),
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        ("/sys", "sysfs", "sysfs", [*_NOTHING, *access]),
        ("/sys/fs/cgroup", "cgroup", "cgroup", [*_NOTHING, *cgroup_access]),
        *_ipc_mounts(host_config),
    ]
    mounts = [_mount(*row) for row in rows]
    for mount in mounts:
        closed = host_config.readonly_rootfs and mount["destination"] not in _ALWAYS_WRITABLE
        if closed and "ro" not in mount["options"]:
            mount["options"].append("ro")
    return mounts


def _ipc_mounts(host_config: HostConfig) -> list[tuple[str, str, str, list[str]]]:
    """Message queues and shared memory follow the IPC namespace; another container's the runtime mounts."""
    queues = ("/dev/mqueue", "mqueue", "mqueue", _NOTHING)
    mode = host_config.ipc_mode
    if mode == namespaces.HOST:
        return [queues, ("/dev/shm", "bind", "/dev/shm", ["rbind", "rprivate"])]
    if mode == "none" or namespaces.target_of(mode) is not None:
        return [queues]
    size = host_config.shm_size or 67108864
    return [queues, ("/dev/shm", "tmpfs", "shm", [*_NOTHING, "mode=1777", f"size={size}"])]


def file_mounts(files: Mapping[str, str], host_config: HostConfig) -> list[dict[str, Any]]:
    """Where hosts, hostname and resolv.conf are found."""
    options = ["rbind", "rprivate", *(["ro"] if host_config.readonly_rootfs else [])]
    return [_mount(target, "bind", files[name], options) for name, target in _FILES if name in files]


def _mount(destination: str, kind: str, source: str, options: Sequence[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}
