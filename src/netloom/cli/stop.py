"""`netloom stop`."""

from __future__ import annotations

from netloom.cli.client import Client
from netloom.cli.flags import Arguments, Usage
from netloom.cli.stopping import FLAGS, end_each

USAGE = Usage("stop", "CONTAINER [CONTAINER...]", 1, -1, "Stop one or more running containers", FLAGS)


def main(client: Client, arguments: Arguments) -> int:
    """Stop each."""
    return end_each(client, arguments, "stop")
