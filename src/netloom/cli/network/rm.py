"""`netloom network rm`."""

from __future__ import annotations

import sys

from netloom.cli.client import Client, segment
from netloom.cli.errors import GENERAL, DaemonError
from netloom.cli.flags import Arguments, Flag, Usage

USAGE = Usage(
    "network rm",
    "NETWORK [NETWORK...]",
    1,
    -1,
    "Remove one or more networks",
    (Flag("force", "f", "bool", "Do not error if the network does not exist"),),
)


def main(client: Client, arguments: Arguments) -> int:
    """Remove each; goes on after a failure."""
    failed = False
    for name in arguments.words:
        try:
            client.delete(f"/networks/{segment(name)}")
        except DaemonError as error:
            if arguments.force and error.status == 404:
                continue
            sys.stdout.flush()
            print(error.text, file=sys.stderr)
            failed = True
        else:
            print(name)
    if failed:
        sys.stdout.flush()
        print("exit status 1", file=sys.stderr)
    return GENERAL if failed else 0
