"""`netloom rm`."""

from __future__ import annotations

import sys

from netloom.cli.client import Client, segment
from netloom.cli.errors import GENERAL, DaemonError
from netloom.cli.flags import Arguments, Flag, Usage

USAGE = Usage(
    "rm",
    "CONTAINER [CONTAINER...]",
    1,
    -1,
    "Remove one or more containers",
    (
        Flag("force", "f", "bool", "Force the removal of a running container (uses SIGKILL)"),
        Flag("link", "l", "bool", "Remove the specified link"),
        Flag("volumes", "v", "bool", "Remove anonymous volumes associated with the container"),
    ),
)


def main(client: Client, arguments: Arguments) -> int:
    """Remove each; with `--force` a container that is not there is told and no failure."""
    query = {name: "1" for name in ("force", "link") if getattr(arguments, name)}
    if arguments.volumes:
        query["v"] = "1"
    failed = False
    for name in arguments.words:
        try:
            client.delete(f"/containers/{segment(name.strip('/'))}", query)
        except DaemonError as error:
            failed = failed or not (arguments.force and error.status == 404)
            sys.stdout.flush()
            print(error.text, file=sys.stderr)
        else:
            print(name)
    return GENERAL if failed else 0
