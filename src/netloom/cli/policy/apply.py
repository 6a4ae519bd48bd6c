"""`netloom policy apply`."""

from __future__ import annotations

import sys
from typing import Any

from netloom.cli.client import Client
from netloom.cli.errors import CliError
from netloom.cli.flags import Arguments, Flag, Usage

USAGE = Usage(
    "policy apply",
    "FILE",
    1,
    1,
    "Put the policy of a YAML file in the place of that of its name; - reads standard input",
    (Flag("dry-run", kind="bool", help="Count what it would deny, and let it pass"),),
)


def main(client: Client, arguments: Arguments) -> int:
    """All of it or nothing."""
    document = _read(arguments.words[0])
    answer = client.post("/policies", document, {"dryrun": "1"} if arguments.dry_run else None)
    print(answer["Name"])
    return 0


def _read(path: str) -> Any:
    import yaml  # noqa: PLC0415 — no other command needs it

    try:
        if path == "-":
            return yaml.safe_load(sys.stdin)
        with open(path, encoding="utf-8") as file:
            return yaml.safe_load(file)
    except OSError as error:
        raise CliError(f"open {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CliError(f"{path} is no YAML: {error}") from None
