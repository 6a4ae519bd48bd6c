"""What the engine and the runtime tell each other of a container's processes."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from netloom.model.host_config import DeviceMapping
from netloom.model.volume import VolumeMount


class Launch(Struct, kw_only=True):
    """All that the runtime needs to create a container's processes. Paths are the host's.

    `stdin_once`, without a terminal: the first client that leaves closes stdin, and a half-close reaches the program;
    otherwise stdin stays open for the next client.
    """

    id: str
    spec: dict[str, Any]  # the OCI runtime spec, its root, network namespace and user's numbers left to the runtime
    netns: int  # fd, or -1 for the host's own namespace
    lower: tuple[str, ...]  # read-only layers of the root, uppermost first
    tty: bool
    stdin: bool
    stdin_once: bool = True
    volumes: tuple[VolumeMount, ...] = ()  # each is the source of one of the mounts of `spec`
    seccomp: str = ""  # a profile's text, `unconfined`, or empty for the default profile
    joined: dict[str, str] = field(default_factory=dict)  # containers whose namespaces are shared, by kind
    host_cgroups: bool = False  # no cgroup namespace of its own
    devices: tuple[DeviceMapping, ...] = ()
    init: bool = False  # the spec's first program is the small init of the host
    cgroup_parent: str = ""
    log: bool = True  # False: output is kept nowhere
    log_limit: int = 0  # bytes after which the log begins anew; 0: never


class Launched(Struct, frozen=True):
    """Processes of a created container: its init waits for `start`."""

    pid: int
    conmon_pid: int


class Exit(Struct, frozen=True):
    """How a process ended. `code` is 0–255; -1 when nobody knows (conmon was killed)."""

    code: int
    time_nano: int
    oom_killed: bool = False


class Survivor(Struct, frozen=True):
    """What a new daemon finds of a container that an earlier one started."""

    id: str
    pid: int  # 0 when its init has ended
    conmon_pid: int
    exit: Exit | None  # None without a pid: its program never started
    frozen: bool = False
