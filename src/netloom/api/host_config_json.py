"""`HostConfig` of a container as Docker's JSON, keys in Docker's order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import to_builtins

from netloom.containers import masks
from netloom.model.host_config import HostConfig
from netloom.model.port_keys import bindings_each


def host_config_json(host: HostConfig, links: Iterable[str] | None) -> dict[str, Any]:
    """`HostConfig`."""
    shown: dict[str, Any] = {
        "Binds": host.binds,
        "ContainerIDFile": host.container_id_file,
        "LogConfig": to_builtins(host.log_config),
        "NetworkMode": host.network_mode,
        "PortBindings": _bindings(host),
        "RestartPolicy": to_builtins(host.restart_policy),
        "AutoRemove": host.auto_remove,
        "VolumeDriver": host.volume_driver,
        "VolumesFrom": host.volumes_from,
        "ConsoleSize": host.console_size,
    }
    if host.annotations:
        shown["Annotations"] = dict(sorted(host.annotations.items()))
    shown |= {
        "CapAdd": host.cap_add,
        "CapDrop": host.cap_drop,
        "CgroupnsMode": host.cgroupns_mode,
        "Dns": host.dns,
        "DnsOptions": host.dns_options,
        "DnsSearch": host.dns_search,
        "ExtraHosts": host.extra_hosts,
        "GroupAdd": host.group_add,
        "IpcMode": host.ipc_mode,
        "Cgroup": host.cgroup,
        "Links": None if links is None else list(links) or None,
        "OomScoreAdj": host.oom_score_adj,
        "PidMode": host.pid_mode,
        "Privileged": host.privileged,
        "PublishAllPorts": host.publish_all_ports,
        "ReadonlyRootfs": host.readonly_rootfs,
        "SecurityOpt": host.security_opt,
    }
    if host.storage_opt:
        shown["StorageOpt"] = dict(sorted(host.storage_opt.items()))
    if host.tmpfs:
        shown["Tmpfs"] = dict(sorted(host.tmpfs.items()))
    shown |= {
        "UTSMode": host.uts_mode,
        "UsernsMode": host.userns_mode,
        "ShmSize": host.shm_size,
    }
    if host.sysctls:
        shown["Sysctls"] = dict(sorted(host.sysctls.items()))
    shown |= {
        "Runtime": "crun",
        "Isolation": "",
        "CpuShares": host.cpu_shares,
        "Memory": host.memory,
        "NanoCpus": host.nano_cpus,
        "CgroupParent": host.cgroup_parent,
        "BlkioWeight": host.blkio_weight,
        "BlkioWeightDevice": to_builtins(host.blkio_weight_device),
        "BlkioDeviceReadBps": to_builtins(host.blkio_device_read_bps),
        "BlkioDeviceWriteBps": to_builtins(host.blkio_device_write_bps),
        "BlkioDeviceReadIOps": to_builtins(host.blkio_device_read_iops),
        "BlkioDeviceWriteIOps": to_builtins(host.blkio_device_write_iops),
        "CpuPeriod": host.cpu_period,
        "CpuQuota": host.cpu_quota,
        "CpuRealtimePeriod": host.cpu_realtime_period,
        "CpuRealtimeRuntime": host.cpu_realtime_runtime,
        "CpusetCpus": host.cpuset_cpus,
        "CpusetMems": host.cpuset_mems,
        "Devices": to_builtins(host.devices),
        "DeviceCgroupRules": host.device_cgroup_rules,
        "DeviceRequests": to_builtins(host.device_requests),
        "MemoryReservation": host.memory_reservation,
        "MemorySwap": host.memory_swap or 2 * host.memory,  # as much swap again, Docker's default
        "MemorySwappiness": host.memory_swappiness,
        "OomKillDisable": host.oom_kill_disable or False,
        "PidsLimit": host.pids_limit,
        "Ulimits": to_builtins(host.ulimits),
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    }
    if host.mounts:
        shown["Mounts"] = to_builtins(host.mounts)
    shown |= {
        "MaskedPaths": _paths(host, host.masked_paths, masks.MASKED),
        "ReadonlyPaths": _paths(host, host.readonly_paths, masks.READ_ONLY),
    }
    if host.init is not None:
        shown["Init"] = host.init
    return shown


def _paths(host: HostConfig, asked: tuple[str, ...] | None, default: tuple[str, ...]) -> tuple[str, ...] | None:
    if asked is not None:
        return asked
    return None if host.privileged else default


def _bindings(host: HostConfig) -> dict[str, Any] | None:
    if host.port_bindings is None:
        return None
    return {port: to_builtins(specs) for port, specs in sorted(bindings_each(host.port_bindings).items())}
