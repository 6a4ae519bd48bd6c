"""`netloom network ls`."""

from __future__ import annotations

import re
from typing import Any

from netloom.cli.client import Client
from netloom.cli.filters import filters
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.listing import Layout, listed
from netloom.cli.template import Row
from netloom.cli.timing import go_time

USAGE = Usage(
    "network ls",
    "",
    0,
    0,
    "List networks",
    (
        Flag("filter", "f", "list", 'Provide filter values (e.g. "driver=bridge")'),
        Flag("format", help="'table', 'table TEMPLATE', 'json' or a template"),
        Flag("no-trunc", kind="bool", help="Do not truncate the output"),
        Flag("quiet", "q", "bool", "Only display network IDs"),
    ),
)
LAYOUT = Layout(
    "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    {
        "ID": "NETWORK ID",
        "Name": "NAME",
        "Driver": "DRIVER",
        "Scope": "SCOPE",
        "IPv4": "IPV4",
        "IPv6": "IPV6",
        "Internal": "INTERNAL",
        "Labels": "LABELS",
        "CreatedAt": "CREATED AT",
    },
    "ID",
)


def main(client: Client, arguments: Arguments) -> int:
    """List the networks, by name."""
    networks = client.get("/networks", filters(arguments.filter))
    networks.sort(key=lambda network: _natural(network["Name"]))
    rows = [_row(network, full=arguments.no_trunc) for network in networks]
    print(listed(rows, LAYOUT, arguments.format, quiet=arguments.quiet), end="")
    return 0


def _row(network: dict[str, Any], *, full: bool) -> Row:
    labels = network["Labels"] or {}
    fields = {
        "CreatedAt": go_time(network["Created"]),
        "Driver": network["Driver"],
        "ID": network["Id"] if full else network["Id"][:12],
        "IPv4": str(network.get("EnableIPv4", True)).lower(),
        "IPv6": str(network["EnableIPv6"]).lower(),
        "Internal": str(network["Internal"]).lower(),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "Name": network["Name"],
        "Scope": network["Scope"],
    }
    return Row(fields, {"Label": lambda key: labels.get(key, "")})


def _natural(name: str) -> list[tuple[int, int, str]]:
    """net2 before net10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
