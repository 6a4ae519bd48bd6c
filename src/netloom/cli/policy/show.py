"""`netloom policy show`."""

from __future__ import annotations

import json
from typing import Any

from netloom.cli.client import Client, segment
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.table import aligned

USAGE = Usage(
    "policy show",
    "POLICY",
    1,
    1,
    "Show the entries of a policy, and how many connections each of them denied",
    (Flag("format", help="'json' for the daemon's own answer"),),
)


def main(client: Client, arguments: Arguments) -> int:
    """As a table."""
    policy = client.get(f"/policies/{segment(arguments.words[0])}")
    if arguments.format == "json":
        print(json.dumps(policy))
        return 0
    lines = ["ENTRY\tVERDICT\tFROM\tTO\tPORTS\tHITS"]
    for entry in policy["Entries"]:
        hits = str(entry["Hits"]) if entry["Verdict"] == "deny" else "-"
        sides = (_side(entry["From"]), _side(entry["To"]))
        lines.append("\t".join([entry["Name"], entry["Verdict"], *sides, ",".join(entry["Ports"]) or "all", hits]))
    for network, hits in policy["DefaultHits"].items():
        lines.append(f"default\tdeny\tnetwork={network}\tnetwork={network}\tall\t{hits}")
    if policy["DryRun"]:
        print("dry run: what is denied below is counted, and passes")
    print(aligned(lines), end="")
    return 0


def _side(peer: dict[str, Any]) -> str:
    words = [f"container={peer['Container'][:64]}"] if "Container" in peer else []
    words += [f"label={label}" for label in peer.get("Labels", ())]
    words += [f"network={peer['Network']}"] if "Network" in peer else []
    words += [peer[key] for key in ("CIDR", "Name") if key in peer]
    return " ".join([*words, *(["host"] if peer.get("Host") else [])]) or "any"
