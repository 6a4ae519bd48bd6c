"""`netloom kill`."""

from __future__ import annotations

from netloom.cli.client import Client, segment
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.several import each, status

USAGE = Usage(
    "kill",
    "CONTAINER [CONTAINER...]",
    1,
    -1,
    "Kill one or more running containers",
    (Flag("signal", "s", help="Signal to send to the container"),),
)


def main(client: Client, arguments: Arguments) -> int:
    """Signal each."""
    query = {"signal": arguments.signal or "KILL"}
    return status(each(arguments.words, lambda name: client.post(f"/containers/{segment(name)}/kill", query=query)))
