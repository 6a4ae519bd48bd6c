"""Creating and cleaning away the processes of one container: what runs in the wrapper's threads, blocking."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from netloom.containers.cgroup_files import writes
from netloom.containers.devices import ALLOW_ALL
from netloom.containers.environment import with_home
from netloom.containers.masks import mask_host
from netloom.containers.resources import counted, require_controllers
from netloom.containers.seccomp import Machine, filter_for
from netloom.containers.spec import INIT
from netloom.model.errors import Conflict, Failed, Unavailable, Unsupported
from netloom.model.launch import Launch
from netloom.model.volume import VolumeMount
from netloom.runtime import crun as crun_words
from netloom.runtime import seccomp, syscalls
from netloom.runtime.cgroups import Cgroups
from netloom.runtime.conmon import Conmon, Pipes, Stdio
from netloom.runtime.crun import Crun
from netloom.runtime.devices import host_devices, mapped, numbered
from netloom.runtime.freezer import Freezer
from netloom.runtime.joining import SHARED_MEMORY, Joined
from netloom.runtime.paths import Paths
from netloom.runtime.processes import Process, kill_and_wait, wait_until, with_argument
from netloom.runtime.root import folder_mode, host_mounts, identity_in, mount_overlay
from netloom.runtime.volume_mounts import VolumeMounts
from netloom.runtime.wrapper import SPAWN_ENV, Wrapper, reap

END_SECONDS = 5.0
CONMON_GRACE_SECONDS = 1.0  # it ends by itself within a millisecond of the container
OPEN_FILES = "RLIMIT_NOFILE"
_MONITORS = frozenset({"conmon", "crun"})


class Processes(Struct, frozen=True):
    """Record of a container that was created to the end; the file is written last."""

    init: Process
    conmon: Process
    tty: bool
    volumes: tuple[str, ...] = ()  # those whose file systems conmon's mount namespace holds


class Launcher:
    """Creates and sweeps. Every method is called in a thread of the wrapper."""

    def __init__(
        self,
        paths: Paths,
        wrapper: Wrapper,
        crun: Crun,
        conmon: Conmon,
        cgroups: Cgroups,
        freezer: Freezer,
        bounding: frozenset[str],
        open_files: tuple[int, int] | None,
    ) -> None:
        self._open_files = open_files
        self._paths = paths
        self._bounding = bounding
        self._wrapper = wrapper
        self._crun = crun
        self._conmon = conmon
        self._cgroups = cgroups
        self.volumes = VolumeMounts(paths)
        self._freezer = freezer
        self._filters = seccomp.Filters()
        kernel = os.uname()
        self._machine = Machine(kernel.machine, kernel.release)

    def create(self, launch: Launch) -> Processes:
        """All or nothing: on failure no process, mount, cgroup or bundle stays."""
        self.sweep(launch.id)
        try:
            with self.volumes.held(launch.volumes):
                return self._create(launch)
        except BaseException:
            self.sweep(launch.id)
            raise

    def _create(self, launch: Launch) -> Processes:
        paths, name = self._paths, launch.id
        bundle = paths.bundle(name)
        for folder in (paths.root(name), f"{bundle}/exec", paths.upper(name), paths.work(name)):
            os.makedirs(folder, mode=0o711, exist_ok=True)
        os.chmod(paths.upper(name), 0o755)  # it is the root folder that the container's users see
        # A client that leaves a terminal may come back: it never closes its stdin.
        stdio = Stdio(launch.tty, launch.stdin, launch.stdin_once and not launch.tty)
        if launch.cgroup_parent:
            os.symlink(os.path.join("/", launch.cgroup_parent, name), paths.cgroup_link(name))
        pipes = Pipes()
        joined = Joined()
        try:
            joined.join(self._targets(launch), self._wrapper.home)
            syscalls.unshare(syscalls.CLONE_NEWNS)
            try:
                mount_overlay(paths.root(name), launch.lower, paths.upper(name), paths.work(name))
                spec = self._finish_spec(launch, joined)
                _keep_modes(spec, paths.root(launch.id))
                held = self.volumes.prepare(launch.id, paths.root(launch.id), spec, _filled(launch))
                with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
                    json.dump(spec, file)
                log = paths.log(name) if launch.log else ""
                argv = self._conmon.create(name, bundle, paths.exits, log, stdio, limit=launch.log_limit)
                first = pipes.spawn(argv)
            finally:
                self._wrapper.home()
            reap(first)
            report = pipes.created()
        finally:
            pipes.close()
            joined.close()
        if report.data <= 0:
            raise crun_words.start_error(report.message, spec["process"]["args"][0])
        self._weigh(launch)
        processes = Processes(
            Process.of(report.data), Process.of(_read_pid(f"{bundle}/conmon.pid")), launch.tty, tuple(held)
        )
        _write_whole(paths.record(name), msgspec.json.encode(processes))
        self.volumes.mounted(name, held, processes.conmon)
        return processes

    def _rlimits(self, asked: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._open_files is None or any(limit["type"] == OPEN_FILES for limit in asked):
            return list(asked)
        soft, hard = self._open_files
        return [*asked, {"type": OPEN_FILES, "soft": soft, "hard": hard}]

    def _weigh(self, launch: Launch) -> None:
        """With v1, crun knows the weight of a scheduler that kernels no longer have."""
        weight = launch.spec["linux"].get("resources", {}).get("blockIO", {}).get("weight")
        if weight and self._wrapper.layout.version == 1:
            changes = writes({"blockIO": {"weight": weight}}, 1)
            try:
                self._cgroups.write(self._paths.cgroup(launch.id), changes)
            except Failed as error:
                raise Unsupported(
                    f"a block I/O weight needs a scheduler that knows weights: {error.sentence}",
                    remedy="leave the weight out",
                ) from error

    def _targets(self, launch: Launch) -> dict[str, Process]:
        """The first processes of the containers whose namespaces are joined, by the namespace's kind."""
        found = {}
        for kind, container in launch.joined.items():
            record = self.record(container)
            if record is None:
                raise Conflict(f"failed to join {kind.upper()} namespace: container {container} is not running")
            found[kind] = record.init
        return found

    def _finish_spec(self, launch: Launch, joined: Joined) -> dict[str, Any]:
        """The spec with what only the runtime knows: root, other namespaces, cgroup, devices and numbers of users."""
        paths = self._paths
        root = paths.root(launch.id)
        process = dict(launch.spec["process"])
        user = process.pop("user", {})
        identity = identity_in(root, user.get("username", ""), user.get("groups", ()))
        process["user"] = {"uid": identity.uid, "gid": identity.gid, "additionalGids": list(identity.groups)}
        process["rlimits"] = self._rlimits(process.get("rlimits", ()))
        process["env"] = with_home(process["env"], identity.home)
        process["capabilities"] = {
            kind: [name for name in names if name in self._bounding] for kind, names in process["capabilities"].items()
        }
        linux = dict(launch.spec["linux"])
        resources = linux["resources"] = dict(linux["resources"])
        layout = self._wrapper.layout
        require_controllers(resources, layout.controllers, version=layout.version)
        resources = linux["resources"] = counted(resources, layout.controllers)
        if "blockIO" in resources:
            resources["blockIO"] = numbered(resources["blockIO"])
            if self._wrapper.layout.version == 1:
                resources["blockIO"].pop("weight", None)  # see _weigh
        nodes, rules = mapped(launch.devices)
        privileged = ALLOW_ALL in resources.get("devices", ())
        linux["devices"] = [*(host_devices() if privileged else ()), *nodes]
        resources["devices"] = [*resources.get("devices", ()), *rules]
        annotations = dict(launch.spec.get("annotations", {}))
        profile = filter_for(launch.seccomp, process["capabilities"]["bounding"], self._machine)
        if profile is not None:
            linux["seccomp"] = {**profile, "syscalls": []}  # what the annotation says stands in its stead
            annotations[seccomp.ANNOTATION] = self._filters.annotation(profile)
        if (
            self._wrapper.layout.version == 2 and not launch.host_cgroups
        ):  # with v1 crun shows the container its own folders only
            linux["namespaces"] = [*linux["namespaces"], {"type": "cgroup"}]
        linux["namespaces"] = [*linux["namespaces"], *joined.namespaces]
        linux["cgroupsPath"] = paths.cgroup(launch.id)
        if launch.netns >= 0:
            # /proc/self by name: where the daemon has another pid namespace than its /proc, getpid() misleads.
            path = f"/proc/{os.readlink('/proc/self')}/fd/{launch.netns}"
            linux["namespaces"] = [*linux["namespaces"], {"type": "network", "path": path}]
        mounts = [_as_deep_as_it_can(mount) for mount in launch.spec.get("mounts", ())]
        bound = {mount["destination"] for mount in mounts if mount["type"] == "bind"}
        if not bound & {"/dev", SHARED_MEMORY}:  # else its user has put something else there
            mounts += joined.mounts(paths.bundle(launch.id))
        if launch.init:
            mounts.append(_init_mount())
        spec = {**launch.spec, "process": process, "linux": linux, "annotations": annotations, "mounts": mounts}
        spec["root"] = {**launch.spec.get("root", {}), "path": root}
        if "/" in launch.lower:
            spec = mask_host(spec, (paths.state, paths.run), host_mounts())
        return spec

    def record(self, container: str) -> Processes | None:
        """The processes of a container that was created to the end."""
        try:
            with open(self._paths.record(container), "rb") as file:
                return msgspec.json.decode(file.read(), type=Processes)
        except FileNotFoundError:
            return None

    def sweep(self, container: str) -> None:
        """End every process of a container and remove all but what is in the state directory. Idempotent.

        Raises TimeoutError when something does not end.
        """
        bundle = self._paths.bundle(container)
        record = self.record(container)
        if record is not None or not os.path.isdir(bundle):
            self._sweep(container, record)
            return
        # Half-made: a conmon or crun may be in mid-flight, unseen between fork and exec. Without its bundle it fails.
        deadline = time.monotonic() + END_SECONDS
        while True:
            _end_monitors(bundle)
            self._sweep(container, None)
            if not os.path.isdir(bundle) and not with_argument(bundle, _MONITORS):
                return
            if not wait_until(deadline):
                raise TimeoutError(f"processes of {bundle} do not end")

    def _sweep(self, container: str, record: Processes | None) -> None:
        bundle = self._paths.bundle(container)
        cgroup = self._paths.cgroup(container)
        self._freezer.thaw(cgroup)  # what is frozen cannot be killed
        if record is not None:
            kill_and_wait(record.init, END_SECONDS)
        if record is None or self._cgroups.processes(cgroup):
            self._crun.delete(container)
        if record is not None:
            kill_and_wait(record.conmon, END_SECONDS, grace=CONMON_GRACE_SECONDS)
        self._cgroups.sweep(cgroup)
        # With the last process and the cgroups gone, crun's record is all that `crun delete` (13 ms) would remove.
        shutil.rmtree(f"{self._paths.crun_root}/{container}", ignore_errors=True)
        for path in _folders(f"{bundle}/exec"):
            _end_monitors(path)
        for path in (self._paths.exit_file(container), self._paths.record(container)):
            _unlink(path)
        shutil.rmtree(bundle, ignore_errors=True)
        if record is not None and os.path.isdir(bundle):
            raise TimeoutError(f"{bundle} cannot be removed")


def _keep_modes(spec: dict[str, Any], root: str) -> None:
    """A tmpfs of no mode of its own has that of the folder of the root that it covers."""
    covered = tuple(f"{mount['destination']}/" for mount in spec["mounts"])
    for mount in spec["mounts"]:
        target, options = mount["destination"], mount["options"]
        if mount["type"] != "tmpfs" or target.startswith(covered) or any(o.startswith("mode=") for o in options):
            continue
        if mode := folder_mode(root, target):
            mount["options"] = [*options, f"mode={mode:o}"]


def _as_deep_as_it_can(mount: dict[str, Any]) -> dict[str, Any]:
    """crun opens what it makes read-only with all below it as a folder: for a file, which has nothing below, `ro` is
    the same."""
    if "rro" not in mount.get("options", ()) or os.path.isdir(mount["source"]):
        return mount
    return {**mount, "options": ["ro" if option == "rro" else option for option in mount["options"]]}


def _filled(launch: Launch) -> list[VolumeMount]:
    """The host's own files never become a volume's: they would escape what masks them."""
    if "/" not in launch.lower:
        return list(launch.volumes)
    return [msgspec.structs.replace(volume, copy=False) for volume in launch.volumes]


def _init_mount() -> dict[str, Any]:
    path = shutil.which("tini-static", path=SPAWN_ENV["PATH"])
    if path is None:
        raise Unavailable("no init program is installed", remedy="install the package tini, or run without --init")
    return {"destination": INIT, "type": "bind", "source": path, "options": ["bind", "ro"]}


def _end_monitors(argument: str) -> None:
    """End the conmons and cruns that have this path as an argument, and wait for them."""
    deadline = time.monotonic() + END_SECONDS
    while found := with_argument(argument, _MONITORS):
        for process in found:
            kill_and_wait(process, END_SECONDS)
        if not wait_until(deadline):
            raise TimeoutError(f"processes {[process.pid for process in found]} of {argument} do not end")


def _folders(path: str) -> list[str]:
    return [entry.path for entry in os.scandir(path)] if os.path.isdir(path) else []


def _read_pid(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read())


def _write_whole(path: str, data: bytes) -> None:
    with open(f"{path}.new", "wb") as file:
        file.write(data)
    os.rename(f"{path}.new", path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
