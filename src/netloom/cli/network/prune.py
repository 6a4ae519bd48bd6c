"""`netloom network prune`."""

from __future__ import annotations

from netloom.cli.client import Client
from netloom.cli.confirm import confirmed
from netloom.cli.filters import filters
from netloom.cli.flags import Arguments, Flag, Usage

USAGE = Usage(
    "network prune",
    "",
    0,
    0,
    "Remove all unused networks",
    (
        Flag("filter", kind="list", help='Provide filter values (e.g. "until=<timestamp>")'),
        Flag("force", "f", "bool", "Do not prompt for confirmation"),
    ),
)
WARNING = "WARNING! This will remove all custom networks not used by at least one container."


def main(client: Client, arguments: Arguments) -> int:
    """Remove the networks that nobody uses, after a question."""
    given = filters(arguments.filter)
    if not arguments.force and not confirmed(WARNING):
        return 1
    deleted = client.post("/networks/prune", query=given)["NetworksDeleted"]
    if deleted:
        print("Deleted Networks:\n" + "\n".join(deleted) + "\n")
    return 0
