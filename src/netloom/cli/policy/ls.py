"""`netloom policy ls`."""

from __future__ import annotations

from netloom.cli.client import Client
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.listing import Layout, listed
from netloom.cli.template import Row

USAGE = Usage(
    "policy ls",
    "",
    0,
    0,
    "List policies; `labels` is what containers carry in their own",
    (
        Flag("format", help="'table', 'table TEMPLATE', 'json' or a template"),
        Flag("quiet", "q", "bool", "Only display names"),
    ),
)
LAYOUT = Layout(
    "{{.Name}}\t{{.Mode}}\t{{.Entries}}\t{{.Closed}}",
    {"Name": "NAME", "Mode": "MODE", "Entries": "ENTRIES", "Closed": "DEFAULT DENY"},
    "Name",
)


def main(client: Client, arguments: Arguments) -> int:
    """List them by name."""
    rows = [
        Row(
            {
                "Name": policy["Name"],
                "Mode": "dry run" if policy["DryRun"] else "enforced",
                "Entries": str(len(policy["Entries"])),
                "Closed": ",".join(policy["Default"]),
            }
        )
        for policy in client.get("/policies")
    ]
    print(listed(rows, LAYOUT, arguments.format, quiet=arguments.quiet), end="")
    return 0
