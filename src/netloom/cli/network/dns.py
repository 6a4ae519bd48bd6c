"""`netloom network dns`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from netloom.cli.client import Client, segment
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.listing import Layout, listed
from netloom.cli.template import Row

USAGE = Usage(
    "network dns",
    "NETWORK",
    1,
    1,
    "Show what the containers of a network ask of their resolvers",
    (
        Flag("follow", "f", "bool", "Print every query from now on, as it is answered"),
        Flag("format", help="'table', 'table TEMPLATE', 'json' or a template"),
    ),
)
LAYOUT = Layout(
    "{{.Container}}\t{{.Queries}}\t{{.Answered}}\t{{.Cached}}\t{{.Forwarded}}\t{{.Failed}}\t{{.Malformed}}",
    {
        "Container": "CONTAINER",
        "Queries": "QUERIES",
        "Answered": "ANSWERED",
        "Cached": "CACHED",
        "Forwarded": "FORWARDED",
        "Failed": "FAILED",
        "Malformed": "MALFORMED",
    },
    "Container",
)


def main(client: Client, arguments: Arguments) -> int:
    """Counts of each running container; with `--follow` the queries themselves, recorded while this runs."""
    path = f"/networks/{segment(arguments.words[0])}/dns"
    if not arguments.follow:
        rows = [Row({key: str(value) for key, value in row.items()}) for row in client.get(path)["Containers"]]
        print(listed(rows, LAYOUT, arguments.format), end="")
        return 0
    for query in _lines(client.stream(f"{path}/queries", {})):
        print(json.dumps(query) if arguments.format == "json" else _line(query), flush=True)
    return 0


def _lines(pieces: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (json.loads(line) for line in lines)


def _line(query: dict[str, Any]) -> str:
    if "Lost" in query:
        return f"({query['Lost']} queries more than can be shown)"
    source = query["Source"] or "nobody"
    asked = f"{query['Container']} {query['Name']} {query['Type']}"
    return f"{query['Time']} {asked} {query['Code']} from {source} in {query['Milliseconds']} ms"
