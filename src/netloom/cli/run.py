"""`netloom run`."""

from __future__ import annotations

import sys

from netloom.cli.client import Client, segment
from netloom.cli.container_flags import CONTAINER_FLAGS
from netloom.cli.container_request import request
from netloom.cli.creation import create
from netloom.cli.detach import DEFAULT_KEYS
from netloom.cli.errors import GENERAL, NOT_EXECUTABLE, NOT_FOUND, NOT_RUN, CliError
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.foreground import Foreground

USAGE = Usage(
    "run",
    "IMAGE [COMMAND] [ARG...]",
    1,
    -1,
    "Create and run a new container",
    tuple(
        sorted(
            (
                *CONTAINER_FLAGS,
                Flag("detach", "d", "bool", "Run container in background and print container ID"),
                Flag("detach-keys", help="Override the key sequence for detaching a container"),
                Flag(
                    "sig-proxy", kind="bool", help="Proxy received signals to the process (default true)", default=True
                ),
            )
        )
    ),
    stop_at_word=True,
)
_HELP = "\n\nRun 'netloom run --help' for more information"


def main(client: Client, arguments: Arguments) -> int:
    """Create and start; the program's exit status, or 125, 126, 127 where it never ran."""
    if arguments.tty and arguments.interactive and not arguments.detach and not sys.stdin.isatty():
        raise CliError("the input device is not a TTY")
    if arguments.detach and arguments.attach:
        raise CliError("conflicting options: cannot specify both --attach and --detach")
    try:
        return _run(client, arguments)
    except CliError as error:
        raise CliError(f"netloom: {error.text}{_HELP}", _status(error)) from None


def _run(client: Client, arguments: Arguments) -> int:
    body = request(arguments, detached=arguments.detach)
    container = create(client, arguments, body)
    if arguments.detach:
        client.post(f"/containers/{segment(container)}/start")
        print(container)
        return 0
    outputs = [stream for stream in ("stdout", "stderr") if body[f"Attach{stream.capitalize()}"]]
    return Foreground(
        client,
        container,
        tty=arguments.tty,
        stdin=body["AttachStdin"] and arguments.interactive,
        outputs=outputs,
        proxy_signals=arguments.sig_proxy,
        detach_keys=arguments.detach_keys or DEFAULT_KEYS,
        removed=arguments.rm,
    ).run()


def _status(error: CliError) -> int:
    """As docker reads the sentence."""
    if error.code != GENERAL:
        return error.code
    text = error.text
    if any(cause in text for cause in ("executable file not found", "no such file or directory")):
        return NOT_FOUND
    if "permission denied" in text or "is a directory" in text:
        return NOT_EXECUTABLE
    return NOT_RUN
