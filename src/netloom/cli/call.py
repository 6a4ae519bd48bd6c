"""One command at work: reads its flags and hands it a client."""

from __future__ import annotations

from types import ModuleType

from netloom.cli.client import Client
from netloom.cli.flags import HelpAsked, read


def call(command: ModuleType, host: str, argv: list[str]) -> int:
    """Run the command of a module: its `USAGE` says what it takes, its `main` does it. The exit status."""
    try:
        arguments = read(command.USAGE, argv)
    except HelpAsked:
        print(command.USAGE.help(), end="")
        return 0
    code: int = command.main(Client(host), arguments)
    return code
