"""`netloom port add`."""

from __future__ import annotations

from netloom.cli.client import Client, segment
from netloom.cli.flags import Arguments, Usage
from netloom.cli.port_specs import published

USAGE = Usage(
    "port add",
    "CONTAINER [IP:][HOSTPORT:]PORT[/PROTO] [PORT...]",
    2,
    -1,
    "Publish ports of a container that stands, as -p does; all of them or none",
)


def main(client: Client, arguments: Arguments) -> int:
    """Add."""
    name, *specs = arguments.words
    client.post(f"/containers/{segment(name)}/netloom/ports", {"Add": published(specs)})
    return 0
