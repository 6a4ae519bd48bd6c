"""crun: its command lines, and its failures in Docker's words."""

from __future__ import annotations

import os
import re
import shutil

from netloom.containers.lifecycle import start_failure_code
from netloom.model.errors import Failed, InvalidArgument, NetloomError, Unavailable, Unsupported
from netloom.runtime import wrapper

# `crun start` unlinks exec.fifo and writes one byte into it; done by hand that takes 0.1 ms instead of 4.5. It is
# crun's own affair how it does it, so only where it has been seen to be so.
FIFO_VERSIONS = frozenset({"1.8.1"})

_WEIGHT = re.compile(r"\b(blk)?io\.(bfq\.)?weight")

CREATE_PREFIX = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: crun create failed: "
    "unable to start container process: error during container init: "
)
EXEC_PREFIX = "OCI runtime exec failed: exec failed: unable to start container process: "


def find_program(name: str) -> str:
    """The path of a program that the runtime cannot do without."""
    path = shutil.which(name, path=wrapper.SPAWN_ENV["PATH"])
    if path is None:
        raise Unavailable(f"{name} is not installed", remedy=f"install the package {name}")
    return path


class Crun:
    """crun with one state folder."""

    def __init__(self, root: str) -> None:
        self.path = find_program("crun")
        self.global_arguments = ("--root", root)
        self._root = root
        first = wrapper.call([self.path, "--version"]).output.partition("\n")[0]
        self.version = first.removeprefix("crun version ").strip()

    def command(self, *arguments: str) -> list[str]:
        """The whole argv of a subcommand."""
        return [self.path, *self.global_arguments, *arguments]

    def known(self, container: str) -> bool:
        """Has crun state of this container?"""
        return os.path.exists(f"{self._root}/{container}")

    def start(self, container: str) -> None:
        """Let a created container's program run. In a thread of the wrapper, unless the version is a known one."""
        if self.version in FIFO_VERSIONS:
            self._open_fifo(f"{self._root}/{container}/exec.fifo")
            return
        done = wrapper.call(self.command("start", container))
        if done.code:
            raise Failed(f"failed to start task for container: {done.output}")

    @staticmethod
    def _open_fifo(path: str) -> None:
        try:
            fifo = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:  # ENXIO: nobody waits at its other end any more
            raise Failed(
                "failed to start task for container: its init process has ended before it was started"
            ) from error
        try:
            os.unlink(path)  # crun takes a container whose fifo is there for one that was not started
            os.write(fifo, b"\0")
        finally:
            os.close(fifo)

    def delete(self, container: str) -> None:
        """Kill and forget, whatever its state; what it leaves is the caller's to sweep. In a thread of the wrapper."""
        if self.known(container):
            wrapper.call(self.command("delete", "-f", container))


def start_error(message: str, program: str, *, prefix: str = CREATE_PREFIX) -> NetloomError:
    """Docker's error for what crun said when it could not start `program`, with its exit code.

    A program that cannot be run is the caller's mistake (400), as with Docker; all else is a failure (500).
    """
    if _WEIGHT.search(message):
        return Unsupported("a block I/O weight needs a scheduler that knows weights", remedy="leave the weight out")
    sentence = prefix + _in_docker_words(message.strip(), program)
    code = start_failure_code(sentence)
    error = InvalidArgument(sentence) if code in (126, 127) else Failed(sentence)
    error.exit_code = code
    return error


def _in_docker_words(message: str, program: str) -> str:
    if message.startswith("executable file `"):
        reason = (
            f"stat {program}: no such file or directory" if "/" in program else "executable file not found in $PATH"
        )
        return f'exec: "{program}": {reason}'
    if message.startswith("open executable: "):
        if not program:
            return 'exec: "": executable file not found in $PATH'
        # What is no regular file crun refuses with EPERM, what may not be executed with EACCES.
        reason = "is a directory: permission denied" if "not permitted" in message else "permission denied"
        return f'exec: "{program}": {reason}'
    if match := re.match(r"open /proc/sys/(\S+): (.+)", message):
        return f"open sysctl {match[1].replace('/', '.')} file: {match[2].lower()}"
    if match := re.match(r"chdir `?(.*?)`?: (.+)", message):
        return f'chdir to cwd ("{match[1]}") set in config.json failed: {match[2].lower()}'
    return message
