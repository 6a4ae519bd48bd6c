"""`netloom policy rm`."""

from __future__ import annotations

from netloom.cli.client import Client, segment
from netloom.cli.flags import Arguments, Usage
from netloom.cli.several import each, status

USAGE = Usage("policy rm", "POLICY [POLICY...]", 1, -1, "Remove one or more policies")


def main(client: Client, arguments: Arguments) -> int:
    """Remove each; goes on after a failure."""
    return status(each(arguments.words, lambda name: client.delete(f"/policies/{segment(name)}")))
