"""What `stop` and `restart` share: how a container is asked to end, and how long it may take."""

from __future__ import annotations

from netloom.cli.client import Client, segment
from netloom.cli.flags import Arguments, Flag
from netloom.cli.several import each, status

FLAGS = (
    Flag("signal", "s", help="Signal to send to the container"),
    Flag("timeout", "t", "int", "Seconds to wait before killing the container", alias="time"),
)


def end_each(client: Client, arguments: Arguments, action: str) -> int:
    """Do `stop` or `restart` to each container; the exit status."""
    query: dict[str, str] = {}
    if arguments.signal:
        query["signal"] = arguments.signal
    if arguments.timeout is not None:
        query["t"] = str(arguments.timeout)
    return status(each(arguments.words, lambda name: client.post(f"/containers/{segment(name)}/{action}", query=query)))
