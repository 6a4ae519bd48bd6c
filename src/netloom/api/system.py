"""The daemon itself: /_ping, /version, /info."""

from __future__ import annotations

import os
import platform
from functools import cache

from msgspec import to_builtins

from netloom import __version__
from netloom.api.call import Call
from netloom.api.gotext import rfc3339nano
from netloom.api.respond import API_VERSION, MIN_API_VERSION, Reply, json_reply
from netloom.api.routing import Route

_PING_HEADERS = "Cache-Control: no-cache, no-store, must-revalidate\r\nPragma: no-cache\r\nSwarm: inactive\r\n"
# Go's names of the machines that Linux names otherwise.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


async def ping(call: Call) -> Reply:
    """Are you there, and what do you speak?"""
    return Reply(200, b"OK", "text/plain; charset=utf-8", _PING_HEADERS)


async def ping_head(call: Call) -> Reply:
    """The same without a body: Docker says a length of 0 here."""
    return Reply(200, b"", "text/plain; charset=utf-8", _PING_HEADERS)


async def version(call: Call) -> Reply:
    """Versions of the daemon and of what it stands on."""
    kernel = os.uname().release
    arch = _ARCHITECTURES.get(platform.machine(), platform.machine())
    engine = {
        "ApiVersion": API_VERSION,
        "Arch": arch,
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": "",
        "KernelVersion": kernel,
        "MinAPIVersion": MIN_API_VERSION,
        "Os": "linux",
        "PythonVersion": platform.python_version(),
    }
    return json_reply(
        {
            "Platform": {"Name": "netloom"},
            "Components": [{"Name": "Engine", "Version": __version__, "Details": engine}],
            "Version": __version__,
            "ApiVersion": API_VERSION,
            "MinAPIVersion": MIN_API_VERSION,
            "GitCommit": "",
            "GoVersion": "",
            "Os": "linux",
            "Arch": arch,
            "KernelVersion": kernel,
            "BuildTime": "",
        }
    )


async def info(call: Call) -> Reply:
    """What the daemon is and has; the engine's own part replaces ours key by key."""
    states = [container.state.status for container in call.backend.containers()]
    running, paused = states.count("running") + states.count("restarting"), states.count("paused")
    own = {
        "ID": "",
        "Containers": len(states),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(states) - running - paused,
        "Images": len(call.backend.images.all()),
        "Driver": "overlay2",
        "DriverStatus": [],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
            "Authorization": None,
            "Log": ["json-file", "local", "none"],
        },
        "MemoryLimit": False,
        "SwapLimit": False,
        "CpuCfsPeriod": False,
        "CpuCfsQuota": False,
        "CPUShares": False,
        "CPUSet": False,
        "PidsLimit": False,
        "IPv4Forwarding": True,
        "Debug": False,
        "NFd": len(os.listdir("/proc/self/fd")),
        "OomKillDisable": False,
        "NGoroutines": 0,
        "SystemTime": rfc3339nano(call.now()),
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "1",
        "NEventsListener": 0,
        "KernelVersion": os.uname().release,
        "OperatingSystem": _operating_system(),
        "OSVersion": "",
        "OSType": "linux",
        "Architecture": platform.machine(),
        "IndexServerAddress": "",
        "RegistryConfig": None,
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "GenericResources": None,
        "DockerRootDir": "",
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": os.uname().nodename,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": __version__,
        "Runtimes": {"crun": {"path": "crun"}},
        "DefaultRuntime": "crun",
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": "tini-static",
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": ""},
        "InitCommit": {"ID": ""},
        "SecurityOptions": ["name=seccomp,profile=builtin"],
        "FirewallBackend": {"Driver": "nftables"},
        "CDISpecDirs": [],
        "Warnings": None,
    }
    return json_reply({**own, **call.backend.daemon_info()})


async def doctor(call: Call) -> Reply:
    """GET /netloom/doctor, of netloom's own: what stands in the way of the host's networks."""
    return json_reply({"Findings": to_builtins(await call.backend.findings()), "Repairs": call.backend.repairs()})


@cache
def _operating_system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")


ROUTES = (
    Route("GET", "/_ping", ping),
    Route("HEAD", "/_ping", ping_head),
    Route("GET", "/version", version),
    Route("GET", "/info", info),
    Route("GET", "/netloom/doctor", doctor),
)
