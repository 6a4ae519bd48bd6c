"""`netloom restart`."""

from __future__ import annotations

from netloom.cli.client import Client
from netloom.cli.flags import Arguments, Usage
from netloom.cli.stopping import FLAGS, end_each

USAGE = Usage("restart", "CONTAINER [CONTAINER...]", 1, -1, "Restart one or more containers", FLAGS)


def main(client: Client, arguments: Arguments) -> int:
    """Restart each."""
    return end_each(client, arguments, "restart")
