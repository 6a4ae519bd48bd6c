"""`netloom restart`."""

from __future__ import annotations

from netloom.cli.client import Client, segment
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.several import each, status

USAGE = Usage(
    "restart",
    "CONTAINER [CONTAINER...]",
    1,
    -1,
    "Restart one or more containers",
    (
        Flag("signal", "s", help="Signal to send to the container"),
        Flag("timeout", "t", "int", "Seconds to wait before killing the container", alias="time"),
    ),
)


def main(client: Client, arguments: Arguments) -> int:
    """Restart each."""
    query: dict[str, str] = {}
    if arguments.signal:
        query["signal"] = arguments.signal
    if arguments.timeout is not None:
        query["t"] = str(arguments.timeout)
    return status(each(arguments.words, lambda name: client.post(f"/containers/{segment(name)}/restart", query=query)))
