"""`netloom network inspect`."""

from __future__ import annotations

from netloom.cli.client import Client, segment
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.inspection import inspected

USAGE = Usage(
    "network inspect",
    "NETWORK [NETWORK...]",
    1,
    -1,
    "Display detailed information on one or more networks, with the host's interface of each container",
    (
        Flag("format", "f", help="'json' or a template"),
        Flag("verbose", "v", "bool", "Verbose output for diagnostics"),
    ),
)


def main(client: Client, arguments: Arguments) -> int:
    """Print the networks; each entry of `Containers` has its `HostInterface`, which Docker cannot tell."""
    query = {"netloom": "1"} | ({"verbose": "true"} if arguments.verbose else {})
    return inspected(arguments.words, arguments.format, lambda name: client.get(f"/networks/{segment(name)}", query))
