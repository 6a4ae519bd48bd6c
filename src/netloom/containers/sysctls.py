"""A container's sysctls: Docker's defaults, and those asked for if a namespace of its own keeps them from others."""

from __future__ import annotations

from netloom.model.errors import Failed
from netloom.model.host_config import HostConfig

# Every port and ping are open to every user of a container with a network namespace of its own.
DEFAULTS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}

_IPC = frozenset(
    f"kernel.{name}" for name in "msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced".split()
) | {"kernel.domainname"}

_PREFIX = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: crun create failed: "
)


def effective(host_config: HostConfig) -> dict[str, str]:
    """What is set when the container starts. Raises Failed with the sentence that Docker's start gives."""
    mode = host_config.network_mode
    asked = {key.replace("/", "."): value for key, value in (host_config.sysctls or {}).items()}
    for key in asked:
        _check(key, host_network=mode == "host")
    own_network = mode != "host" and not mode.startswith("container:")
    return {**(DEFAULTS if own_network else {}), **asked}


def _check(key: str, *, host_network: bool) -> None:
    if key.startswith("net."):
        if host_network:
            raise Failed(f'{_PREFIX}sysctl "{key}" not allowed in host network namespace')
    elif key == "kernel.hostname":
        raise Failed(f'{_PREFIX}sysctl "{key}" is not allowed as it conflicts with the OCI "hostname" field')
    elif key not in _IPC and not key.startswith("fs.mqueue."):
        raise Failed(f'{_PREFIX}sysctl "{key}" is not in a separate kernel namespace')
