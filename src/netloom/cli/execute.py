"""`netloom exec`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from contextlib import ExitStack

from netloom.cli import terminal
from netloom.cli.carrying import Carrier
from netloom.cli.client import Client, segment
from netloom.cli.detach import DEFAULT_KEYS, parse_keys
from netloom.cli.errors import CliError
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.labels import lines_of

USAGE = Usage(
    "exec",
    "CONTAINER COMMAND [ARG...]",
    2,
    -1,
    "Execute a command in a running container",
    (
        Flag("detach", "d", "bool", "Detached mode: run command in the background"),
        Flag("detach-keys", help="Override the key sequence for detaching a container"),
        Flag("env", "e", "list", "Set environment variables"),
        Flag("env-file", kind="list", help="Read in a file of environment variables"),
        Flag("interactive", "i", "bool", "Keep STDIN open even if not attached"),
        Flag("privileged", kind="bool", help="Give extended privileges to the command"),
        Flag("tty", "t", "bool", "Allocate a pseudo-TTY"),
        Flag("user", "u", help='Username or UID (format: "<name|uid>[:<group|gid>]")'),
        Flag("workdir", "w", help="Working directory inside the container"),
    ),
    stop_at_word=True,
)


def main(client: Client, arguments: Arguments) -> int:
    """Run the command; its exit status."""
    if arguments.tty and arguments.interactive and not arguments.detach and not sys.stdin.isatty():
        raise CliError("the input device is not a TTY")
    keys = parse_keys(arguments.detach_keys or DEFAULT_KEYS)
    container, *command = arguments.words
    size = terminal.size(1) if arguments.tty else None
    config = {
        "AttachStdin": arguments.interactive and not arguments.detach,
        "AttachStdout": not arguments.detach,
        "AttachStderr": not arguments.detach,
        "Detach": arguments.detach,
        "DetachKeys": arguments.detach_keys,
        "Tty": arguments.tty,
        "Cmd": command,
        "Env": environment(arguments.env_file, arguments.env),
        "User": arguments.user,
        "Privileged": arguments.privileged,
        "WorkingDir": arguments.workdir,
    }
    if size:
        config["ConsoleSize"] = list(size)
    made = client.post(f"/containers/{segment(container)}/exec", config)["Id"]
    if arguments.detach:
        client.post(f"/exec/{made}/start", {"Detach": True, "Tty": arguments.tty})
        return 0
    if _carried(client, made, arguments, size, keys):
        return 0
    return int(client.get(f"/exec/{made}/json")["ExitCode"] or 0)


def environment(files: list[str], given: list[str]) -> list[str]:
    """Files first; a name without a value has this process's, or is left out."""
    whole = []
    for entry in [*lines_of(files), *given]:
        if "=" in entry:
            whole.append(entry)
        elif entry in os.environ:
            whole.append(f"{entry}={os.environ[entry]}")
    return whole


def _carried(client: Client, made: str, arguments: Arguments, size: tuple[int, int] | None, keys: bytes) -> bool:
    def resize(_number: int) -> None:
        found = terminal.size(1)
        if found:
            with contextlib.suppress(CliError):
                client.post(f"/exec/{made}/resize", query={"h": found[0], "w": found[1]})

    start = {"Detach": False, "Tty": arguments.tty} | ({"ConsoleSize": list(size)} if size else {})
    with ExitStack() as stack:
        connection, early, _ = client.hijack(f"/exec/{made}/start", body=start)
        stack.enter_context(contextlib.closing(connection))
        if arguments.tty and arguments.interactive and sys.stdin.isatty():
            stack.enter_context(terminal.raw(0))
        if arguments.tty:
            resize(signal.SIGWINCH)
        return Carrier(
            connection,
            early,
            tty=arguments.tty,
            stdin=arguments.interactive,
            keys=keys,
            on_signal=resize,
            signals=frozenset([signal.SIGWINCH] if arguments.tty else []),
        ).run()
