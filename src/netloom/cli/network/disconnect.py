"""`netloom network disconnect`."""

from __future__ import annotations

from netloom.cli.client import Client, segment
from netloom.cli.flags import Arguments, Flag, Usage

USAGE = Usage(
    "network disconnect",
    "NETWORK CONTAINER",
    2,
    2,
    "Disconnect a container from a network",
    (Flag("force", "f", "bool", "Force the container to disconnect from a network"),),
)


def main(client: Client, arguments: Arguments) -> int:
    """Disconnect."""
    network, container = arguments.words
    client.post(f"/networks/{segment(network)}/disconnect", {"Container": container, "Force": arguments.force})
    return 0
