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
            text = sys.stdin.read()
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        _refuse_twice("standard input" if path == "-" else path, yaml.compose(text, yaml.SafeLoader))
        return yaml.safe_load(text)
    except OSError as error:
        raise CliError(f"open {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CliError(f"{path} is no YAML: {error}") from None


def _refuse_twice(where: str, document: Any) -> None:
    """Refuse a key that is there twice (YAML 1.2, 3.2.1.3): the last one would count, and a list of denials be lost."""
    waiting, seen = [document], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(getattr(node, "value", None), list):
            continue
        seen.add(id(node))
        keys = set()
        for part in node.value:
            if not isinstance(part, tuple):
                waiting.append(part)
                continue
            key, value = part
            if str(key.value) in keys:
                line = key.start_mark.line + 1
                raise CliError(f"{where}, line {line}: {key.value} is there twice: put both into one")
            keys.add(str(key.value))
            waiting.append(value)
