"""A container: what was asked for, and its state. Field names in JSON are Docker's own."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from netloom.model.endpoint import EndpointConfig
from netloom.model.health import Health, HealthConfig
from netloom.model.host_config import HostConfig
from netloom.model.mount import MountPoint


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
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False  # of Windows; shown as it came
    image: str = ""
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: tuple[str, ...] | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: tuple[str, ...] | None = None
    labels: dict[str, str] = {}
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: tuple[str, ...] | None = None


class State(Struct, frozen=True):
    """Where the container stands. Times are ns since the epoch, 0 for never."""

    status: str = "created"  # created, running, paused, restarting, exited, removing, dead
    pid: int = 0
    conmon_pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started: int = 0
    finished: int = 0
    health: Health | None = None

    @property
    def running(self) -> bool:
        """Is there an init process?"""
        return self.status in ("running", "paused")

    @property
    def paused(self) -> bool:
        """Is it frozen?"""
        return self.status == "paused"

    @property
    def restarting(self) -> bool:
        """Has it ended, and does its restart policy wait to start it again?"""
        return self.status == "restarting"


class Container(Struct, frozen=True, kw_only=True):
    """One container. `networks` maps the network's name, as asked for, to what was asked of the endpoint."""

    id: str
    name: str  # without the leading slash
    created: int
    image_id: str
    config: ContainerConfig
    host_config: HostConfig
    networks: dict[str, EndpointConfig] = {}
    mounts: tuple[MountPoint, ...] = ()
    restart_count: int = 0  # by its policy, since it was last started by hand
    backoff: int = 0  # ns that its policy waited last, or waits now: counted from its last end
    state: State = State()
    sandbox: str = ""  # sandbox id while it has one
    manually_stopped: bool = False

    @property
    def due(self) -> int:
        """When its policy starts it, while it waits for that; ns since the epoch."""
        return self.state.finished + self.backoff

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
    group_add: tuple[str, ...] = ()  # the container's own


class Exec(Struct, kw_only=True):
    """One exec; it lives in memory only, as Docker's does."""

    id: str
    container: str
    config: ExecConfig
    running: bool = False
    exit_code: int | None = None
    pid: int = 0
    started: bool = False
