"""`netloom inspect`."""

from __future__ import annotations

from typing import Any

from netloom.cli.client import Client, segment
from netloom.cli.errors import CliError, DaemonError
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.inspection import inspected

USAGE = Usage(
    "inspect",
    "NAME|ID [NAME|ID...]",
    1,
    -1,
    "Return low-level information on networks and containers",
    (
        Flag("format", "f", help="'json' or a template"),
        Flag("size", "s", "bool", "Display total file sizes if the type is container"),
        Flag("type", help="Only inspect objects of the given type"),
    ),
)
_PATHS = {"container": "/containers/{}/json", "network": "/networks/{}", "image": "/images/{}/json"}


def main(client: Client, arguments: Arguments) -> int:
    """Print whatever has these names: container before network before image."""
    if arguments.type and arguments.type not in _PATHS:
        raise CliError(f'"{arguments.type}" is not a valid value for --type: container, network and image are known')
    kinds = [arguments.type] if arguments.type else list(_PATHS)

    def find(name: str) -> Any:
        for kind in kinds:
            query = {"size": "1"} if arguments.size and kind == "container" else None
            try:
                return client.get(_PATHS[kind].format(segment(name)), query)
            except DaemonError as error:
                # what a daemon does not serve has no objects either
                if error.status not in (404, 501) or arguments.type:
                    raise
        raise LookupError(f"Error: No such object: {name}")

    return inspected(arguments.words, arguments.format, find)
