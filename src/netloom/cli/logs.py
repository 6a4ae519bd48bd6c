"""`netloom logs`."""

from __future__ import annotations

import sys

from netloom.cli.client import Client, segment
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.frames import STDERR, Frames
from netloom.cli.timing import moment

USAGE = Usage(
    "logs",
    "CONTAINER",
    1,
    1,
    "Fetch the logs of a container",
    (
        Flag("details", kind="bool", help="Show extra details provided to logs"),
        Flag("follow", "f", "bool", "Follow log output"),
        Flag("since", help='Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
        Flag("tail", "n", help='Number of lines to show from the end of the logs (default "all")', default="all"),
        Flag("timestamps", "t", "bool", "Show timestamps"),
        Flag("until", help='Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
    ),
)


def main(client: Client, arguments: Arguments) -> int:
    """Print the log, each stream to its own."""
    path = f"/containers/{segment(arguments.words[0])}"
    tty = client.get(f"{path}/json")["Config"]["Tty"]
    query = {"stdout": "1", "stderr": "1", "tail": arguments.tail}
    query |= {name: "1" for name in ("follow", "timestamps", "details") if getattr(arguments, name)}
    for option in ("since", "until"):
        if getattr(arguments, option):
            query[option] = moment(getattr(arguments, option), option)
    frames = Frames()
    for piece in client.stream(f"{path}/logs", query):
        for stream, data in [(1, piece)] if tty else frames.feed(piece):
            out = sys.stderr if stream == STDERR else sys.stdout
            out.buffer.write(data)
            out.buffer.flush()
    return 0
