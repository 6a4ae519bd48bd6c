"""A container's sysctls: Docker's defaults, and those asked for if a namespace of its own keeps them from others."""

from __future__ import annotations

import re

import msgspec

from netloom.model.endpoint import SYSCTLS, EndpointConfig
from netloom.model.errors import Failed
from netloom.model.host_config import HostConfig

# Every port and ping are open to every user of a container with a network namespace of its own.
DEFAULTS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}

_OF_ETH = re.compile(r"net\.[^.]*\.[^.]*\.eth[^.]*\.")

_IPC = frozenset(f"kernel.{name}" for name in "msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced".split())

CREATE_PREFIX = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: crun create failed: "
)


def effective(host_config: HostConfig, domainname: str = "") -> dict[str, str]:
    """What is set when the container starts. Raises Failed with the sentence that Docker's start gives."""
    asked = {key.replace("/", "."): value for key, value in (host_config.sysctls or {}).items()}
    if domainname:
        asked.setdefault("kernel.domainname", domainname)
    for key in asked:
        _check(key, host_config)
    return {**(DEFAULTS if _own_network(host_config) else {}), **asked}


def per_interface(
    host_config: HostConfig, endpoint: EndpointConfig, version: tuple[int, int]
) -> tuple[HostConfig, EndpointConfig, str]:
    """Those of `eth0` as an option of the main network's endpoint, and what to tell of it: clients up to API 1.47.

    Nobody else knows which network's interface a name will be. Raises Failed with Docker's sentences.
    """
    asked = host_config.sysctls or {}
    moved = [key for key in asked if _OF_ETH.match(key)]
    if not moved or not _own_network(host_config):  # who shares a namespace has no endpoint
        return host_config, endpoint, ""
    for key in moved:
        if version > (1, 47):
            raise Failed(
                f"interface specific sysctl setting \"{key}\" must be supplied using driver option '{SYSCTLS}'"
            )
        if key.split(".")[3] != "eth0":
            raise Failed(
                f"unable to determine network endpoint for sysctl {key}, use driver option '{SYSCTLS}' to set"
                " per-interface sysctls"
            )
    options = dict(endpoint.driver_opts or {})
    settings = ",".join(f"{key.replace('.eth0.', '.IFNAME.', 1)}={asked[key]}" for key in moved)
    options[SYSCTLS] = ",".join(filter(None, (settings, options.get(SYSCTLS, ""))))
    kept = {key: value for key, value in asked.items() if key not in moved}
    return (
        msgspec.structs.replace(host_config, sysctls=kept or None),
        msgspec.structs.replace(endpoint, driver_opts=options),
        f'Migrated sysctl "{",".join(moved)}" to DriverOpts{{"{SYSCTLS}":"{settings}"}}.',
    )


def _own_network(host_config: HostConfig) -> bool:
    mode = host_config.network_mode
    return mode != "host" and not mode.startswith("container:")


def _check(key: str, host_config: HostConfig) -> None:
    if key.startswith("net."):
        if host_config.network_mode == "host":
            raise Failed(f'{CREATE_PREFIX}sysctl "{key}" not allowed in host network namespace')
    elif key == "kernel.hostname":
        raise Failed(f'{CREATE_PREFIX}sysctl "{key}" is not allowed as it conflicts with the OCI "hostname" field')
    elif key in _IPC or key.startswith("fs.mqueue."):
        if host_config.ipc_mode == "host":
            raise Failed(f'{CREATE_PREFIX}sysctl "{key}" is not allowed in the hosts ipc namespace')
    elif key != "kernel.domainname" or host_config.uts_mode == "host":
        raise Failed(f'{CREATE_PREFIX}sysctl "{key}" is not in a separate kernel namespace')
