"""Programs started inside a running container: crun exec under a conmon of their own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from netloom.containers import capabilities
from netloom.containers.environment import merge, with_home
from netloom.model.container import ExecConfig
from netloom.model.errors import Conflict
from netloom.runtime import attach
from netloom.runtime.conmon import Conmon, Pipes, Report, Stdio
from netloom.runtime.crun import EXEC_PREFIX, start_error
from netloom.runtime.exits import read_exit_file
from netloom.runtime.paths import Paths
from netloom.runtime.processes import Process
from netloom.runtime.root import identity_in
from netloom.runtime.wrapper import reap

KILLED = 137


class Running(Struct, frozen=True):
    """An exec under way: its program, its monitor, its folder and the connection to its stdio."""

    program: Process
    conmon: Process
    folder: str
    connection: socket.socket


class Execs:
    """Starts execs and reads their ends. Blocking: called in threads of the wrapper."""

    def __init__(self, paths: Paths, conmon: Conmon, bounding: frozenset[str]) -> None:
        self._paths = paths
        self._conmon = conmon
        self._bounding = bounding

    def start(self, container: str, exec_id: str, config: ExecConfig, env: Sequence[str], init: Process) -> Running:
        """Start the program; its output waits until the connection is read."""
        folder = self._paths.exec_folder(container, exec_id)
        try:
            os.makedirs(folder, mode=0o700)
            return self._start(container, exec_id, config, env, init, folder)
        except FileNotFoundError as error:
            raise Conflict(f"container {container} is not running") from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _start(
        self, container: str, exec_id: str, config: ExecConfig, env: Sequence[str], init: Process, folder: str
    ) -> Running:
        spec = self._process(container, config, env, init)
        with open(f"{folder}/process.json", "w", encoding="utf-8") as file:
            json.dump(spec, file)
        pipes = Pipes(attach=True)
        connection = None
        try:
            stdio = Stdio(config.tty, config.attach_stdin)
            first = pipes.spawn(self._conmon.exec(container, exec_id, folder, stdio))
            pipes.go()  # conmon waits to be put into a cgroup, which it need not be
            reap(first)
            ready = pipes.attached()
            if ready.data < 0:
                raise self._error(ready, config)
            connection = attach.connect(folder)  # accepted before the output is read: conmon watches it first
            pipes.go()
            report = pipes.created()
            if report.data <= 0:
                raise self._error(report, config)
            if score := spec.get("oomScoreAdj", 0):
                _set_oom_score(report.data, score)
            if config.tty and config.console_size and any(config.console_size):
                attach.resize(folder, *config.console_size)
            with open(f"{folder}/conmon.pid", encoding="ascii") as file:
                conmon = Process.of(int(file.read()))
            return Running(Process.of(report.data), conmon, folder, connection)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        finally:
            pipes.close()

    @staticmethod
    def _error(report: Report, config: ExecConfig) -> Exception:
        return start_error(report.message, config.cmd[0], prefix=EXEC_PREFIX)

    def _process(self, container: str, config: ExecConfig, env: Sequence[str], init: Process) -> dict[str, Any]:
        """The OCI process: the container's own, with what the exec asks for."""
        with open(f"{self._paths.bundle(container)}/config.json", encoding="utf-8") as file:
            own: dict[str, Any] = json.load(file)["process"]
        process = {**own, "args": list(config.cmd), "terminal": config.tty}
        process.pop("consoleSize", None)
        if config.tty and config.console_size and any(config.console_size):
            height, width = config.console_size
            process["consoleSize"] = {"height": height, "width": width}
        merged = merge(("TERM=xterm",) if config.tty else (), env or _without_own(own["env"]))
        merged = merge(merged, config.env or ())
        if config.user:
            if not init.alive:
                raise Conflict(f"container {container} is not running")
            identity = identity_in(f"/proc/{init.pid}/root", config.user, config.group_add)
            process["user"] = {"uid": identity.uid, "gid": identity.gid, "additionalGids": list(identity.groups)}
            process["env"] = with_home(merged, identity.home)
        else:
            home = next((e for e in own["env"] if e.startswith("HOME=")), "HOME=/")
            process["env"] = with_home(merged, home.removeprefix("HOME="))
        if config.working_dir:
            process["cwd"] = config.working_dir
        if config.privileged:
            every = [name for name in capabilities.KNOWN if name in self._bounding]
            process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), every)
        return process

    def finish(self, container: str, running: Running) -> int:
        """The code of an exec whose conmon has ended; its folder goes."""
        known = read_exit_file(f"{running.folder}/{container}")
        shutil.rmtree(running.folder, ignore_errors=True)
        return known[0] if known else KILLED


def _set_oom_score(pid: int, score: int) -> None:
    """crun sets it for a container's first process alone, and conmon starts execs at 0. Ended already is success."""
    with (
        contextlib.suppress(FileNotFoundError, ProcessLookupError),
        open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file,
    ):
        file.write(str(score))


def _without_own(env: Sequence[str]) -> list[str]:
    """A container's environment without what depends on its user and terminal."""
    return [entry for entry in env if not entry.startswith(("HOME=", "TERM="))]
