"""`netloom port rm`."""

from __future__ import annotations

from netloom.cli.client import Client, segment
from netloom.cli.flags import Arguments, Usage
from netloom.cli.port_specs import published

USAGE = Usage(
    "port rm",
    "CONTAINER [HOSTPORT:]PORT[/PROTO] [PORT...]",
    2,
    -1,
    "Withdraw published ports of a container that stands; connections through them end",
)


def main(client: Client, arguments: Arguments) -> int:
    """Remove."""
    name, *specs = arguments.words
    client.post(f"/containers/{segment(name)}/netloom/ports", {"Remove": published(specs)})
    return 0
