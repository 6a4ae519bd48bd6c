"""`netloom policy log`."""

from __future__ import annotations

import json
from typing import Any

from netloom.cli.client import Client
from netloom.cli.flags import Arguments, Flag, Usage

USAGE = Usage(
    "policy log",
    "",
    0,
    0,
    "Show the latest connections that policies denied, or would have denied",
    (Flag("format", help="'json' for one object a line"),),
)


def main(client: Client, arguments: Arguments) -> int:
    """Oldest first."""
    for denial in client.get("/policies/log"):
        print(json.dumps(denial) if arguments.format == "json" else _line(denial))
    return 0


def _line(denial: dict[str, Any]) -> str:
    verdict = "would be denied" if denial["DryRun"] else "denied"
    sides = f"{_side(denial['Source'])} to {_side(denial['Target'])}"
    return f"{denial['Time']} {verdict} {denial['Protocol']} {sides} by {denial['Entry'] or 'default'}"


def _side(side: dict[str, Any]) -> str:
    port = f" port {side['Port']}" if side["Port"] else ""
    return f"{side['Name']} ({side['Address']}){port}" if side["Name"] else side["Address"] + port
