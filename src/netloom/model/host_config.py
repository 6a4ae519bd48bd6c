"""`HostConfig` of a container: how it is run on this host. Field names in JSON are Docker's own."""

from __future__ import annotations

from msgspec import Struct, field

from netloom.model.mount import MountRequest

SHM_SIZE = 64 << 20  # bytes, Docker's default


class PortSpec(Struct, frozen=True):
    """One entry of HostConfig.PortBindings: as the user wrote it, ranges included."""

    host_ip: str = field(default="", name="HostIp")
    host_port: str = field(default="", name="HostPort")


class RestartPolicy(Struct, frozen=True, rename="pascal"):
    """no, always, unless-stopped, or on-failure with a bound on the number of restarts (0: none)."""

    name: str = "no"
    maximum_retry_count: int = 0


class LogConfig(Struct, frozen=True):
    """The log driver as shown; the file behind it is conmon's."""

    type: str = field(default="json-file", name="Type")
    config: dict[str, str] = field(default_factory=dict, name="Config")


class DeviceMapping(Struct, frozen=True, rename="pascal"):
    """A device of the host inside; permissions are of `rwm`."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(Struct, frozen=True):
    """Devices by capability (`--gpus`)."""

    driver: str = field(default="", name="Driver")
    count: int = field(default=0, name="Count")
    device_ids: tuple[str, ...] | None = field(default=None, name="DeviceIDs")
    capabilities: tuple[tuple[str, ...], ...] | None = field(default=None, name="Capabilities")
    options: dict[str, str] | None = field(default=None, name="Options")


class Ulimit(Struct, frozen=True, rename="pascal"):
    """One resource limit (getrlimit(2)); -1 is unlimited."""

    name: str = ""
    hard: int = 0
    soft: int = 0


class WeightDevice(Struct, frozen=True, rename="pascal"):
    """A block device's share."""

    path: str = ""
    weight: int = 0


class ThrottleDevice(Struct, frozen=True, rename="pascal"):
    """A block device's rate, bytes or operations a second."""

    path: str = ""
    rate: int = 0


class HostConfig(Struct, frozen=True, rename="pascal"):
    """Lists and maps are None where the request had null or nothing: inspect shows them as they came."""

    binds: tuple[str, ...] | None = None
    container_id_file: str = field(default="", name="ContainerIDFile")
    log_config: LogConfig = LogConfig()
    network_mode: str = "default"
    port_bindings: dict[str, tuple[PortSpec, ...] | None] | None = None
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: tuple[str, ...] | None = None
    console_size: tuple[int, int] = (0, 0)
    annotations: dict[str, str] | None = None
    cap_add: tuple[str, ...] | None = None
    cap_drop: tuple[str, ...] | None = None
    cgroupns_mode: str = "private"
    dns: tuple[str, ...] | None = None
    dns_options: tuple[str, ...] | None = None
    dns_search: tuple[str, ...] | None = None
    extra_hosts: tuple[str, ...] | None = None
    group_add: tuple[str, ...] | None = None
    ipc_mode: str = "private"
    cgroup: str = ""
    links: tuple[str, ...] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: tuple[str, ...] | None = None
    storage_opt: dict[str, str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = field(default="", name="UTSMode")
    userns_mode: str = ""
    shm_size: int = SHM_SIZE  # bytes
    sysctls: dict[str, str] | None = None
    cpu_shares: int = 0
    memory: int = 0  # bytes, as are the two below
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: tuple[WeightDevice, ...] | None = None
    blkio_device_read_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_write_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_read_iops: tuple[ThrottleDevice, ...] | None = field(default=None, name="BlkioDeviceReadIOps")
    blkio_device_write_iops: tuple[ThrottleDevice, ...] | None = field(default=None, name="BlkioDeviceWriteIOps")
    cpu_period: int = 0  # µs, as is the quota
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: tuple[DeviceMapping, ...] | None = None
    device_cgroup_rules: tuple[str, ...] | None = None
    device_requests: tuple[DeviceRequest, ...] | None = None
    memory_reservation: int = 0
    memory_swap: int = 0  # memory and swap together; -1 is unlimited
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: tuple[Ulimit, ...] | None = None
    mounts: tuple[MountRequest, ...] | None = None
    masked_paths: tuple[str, ...] | None = None  # None: Docker's own list
    readonly_paths: tuple[str, ...] | None = None
    init: bool | None = None
