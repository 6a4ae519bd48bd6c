"""A container: what was asked for, and its state. Field names in JSON are Docker's own."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from netloom.model.endpoint import EndpointConfig


class ContainerConfig(Struct, frozen=True, rename="pascal"):
    """`Config` of a container."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    image: str = ""
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: tuple[str, ...] | None = None
    mac_address: str = ""
    on_build: tuple[str, ...] | None = None
    labels: dict[str, str] = {}
    stop_signal: str = ""
    stop_timeout: int | None = None


class PortSpec(Struct, frozen=True):
    """One entry of HostConfig.PortBindings: as the user wrote it, ranges included."""

    host_ip: str = field(default="", name="HostIp")
    host_port: str = field(default="", name="HostPort")


class RestartPolicy(Struct, frozen=True, rename="pascal"):
    """`no` is the only one that is carried out so far; others are refused at create."""

    name: str = "no"
    maximum_retry_count: int = 0


class LogConfig(Struct, frozen=True):
    """The log driver as shown; the file behind it is conmon's."""

    type: str = field(default="json-file", name="Type")
    config: dict[str, str] = field(default_factory=dict, name="Config")


class HostConfig(Struct, frozen=True, rename="pascal"):
    """The part of `HostConfig` that netloom carries out; `api` adds the constant rest on inspect."""

    network_mode: str = "default"
    port_bindings: dict[str, tuple[PortSpec, ...] | None] | None = None
    publish_all_ports: bool = False
    auto_remove: bool = False
    dns: tuple[str, ...] | None = None
    dns_options: tuple[str, ...] | None = None
    dns_search: tuple[str, ...] | None = None
    extra_hosts: tuple[str, ...] | None = None
    links: tuple[str, ...] | None = None
    sysctls: dict[str, str] | None = None
    cap_add: tuple[str, ...] | None = None
    cap_drop: tuple[str, ...] | None = None
    privileged: bool = False
    restart_policy: RestartPolicy = RestartPolicy()
    log_config: LogConfig = LogConfig()
    console_size: tuple[int, int] = (0, 0)
    readonly_rootfs: bool = False
    init: bool | None = None
    oom_score_adj: int = 0
    memory: int = 0  # bytes
    nano_cpus: int = 0
    pids_limit: int | None = None
    shm_size: int = 67108864
    annotations: dict[str, str] | None = None
    empty_lists: tuple[str, ...] = ()  # keys of the constant rest that came as [], not null: inspect shows them so


class State(Struct, frozen=True):
    """Where the container stands. Times are ns since the epoch, 0 for never."""

    status: str = "created"  # created, running, exited, removing, dead
    pid: int = 0
    conmon_pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started: int = 0
    finished: int = 0

    @property
    def running(self) -> bool:
        """Is there an init process?"""
        return self.status == "running"


class Container(Struct, frozen=True, kw_only=True):
    """One container. `networks` maps the network's name, as asked for, to what was asked of the endpoint."""

    id: str
    name: str  # without the leading slash
    created: int
    image_id: str
    config: ContainerConfig
    host_config: HostConfig
    networks: dict[str, EndpointConfig] = {}
    state: State = State()
    sandbox: str = ""  # sandbox id while it has one
    manually_stopped: bool = False

    @property
    def short_id(self) -> str:
        """The first twelve digits."""
        return self.id[:12]


class ContainerRequest(Struct, kw_only=True):
    """POST /containers/create, decoded."""

    name: str = ""
    config: ContainerConfig = ContainerConfig()
    host_config: HostConfig = HostConfig()
    networks: dict[str, EndpointConfig] = field(default_factory=dict)
    api_version: tuple[int, int] = (1, 51)


class ExecConfig(Struct, frozen=True, rename="pascal"):
    """POST /containers/ID/exec, decoded."""

    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""
    tty: bool = False
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] | None = None
    user: str = ""
    working_dir: str = ""
    privileged: bool = False
    console_size: tuple[int, int] | None = None


class Exec(Struct, kw_only=True):
    """One exec; it lives in memory only, as Docker's does."""

    id: str
    container: str
    config: ExecConfig
    running: bool = False
    exit_code: int | None = None
    pid: int = 0
    started: bool = False
