"""`netloom create`."""

from __future__ import annotations

from netloom.cli.client import Client
from netloom.cli.container_flags import CONTAINER_FLAGS
from netloom.cli.container_request import request
from netloom.cli.creation import create
from netloom.cli.flags import Arguments, Usage

USAGE = Usage("create", "IMAGE [COMMAND] [ARG...]", 1, -1, "Create a new container", CONTAINER_FLAGS, stop_at_word=True)


def main(client: Client, arguments: Arguments) -> int:
    """Create it and print its id."""
    print(create(client, arguments, request(arguments, detached=False)))
    return 0
