"""`netloom ps`."""

from __future__ import annotations

import time
from typing import Any

from netloom.cli.client import Client
from netloom.cli.filters import filters
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.listing import Layout, listed
from netloom.cli.published import shown_ports
from netloom.cli.template import Row
from netloom.cli.timing import human_span, local_time

USAGE = Usage(
    "ps",
    "",
    0,
    0,
    "List containers",
    (
        Flag("all", "a", "bool", "Show all containers (default shows just running)"),
        Flag("filter", "f", "list", "Filter output based on conditions provided"),
        Flag("format", help="'table', 'table TEMPLATE', 'json' or a template"),
        Flag("last", "n", "int", "Show n last created containers (includes all states)", default=-1),
        Flag("latest", "l", "bool", "Show the latest created container (includes all states)"),
        Flag("no-trunc", kind="bool", help="Don't truncate output"),
        Flag("quiet", "q", "bool", "Only display container IDs"),
        Flag("size", "s", "bool", "Display total file sizes"),
    ),
)
LAYOUT = Layout(
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    {
        "ID": "CONTAINER ID",
        "Image": "IMAGE",
        "Command": "COMMAND",
        "CreatedAt": "CREATED AT",
        "RunningFor": "CREATED",
        "Status": "STATUS",
        "State": "STATE",
        "Ports": "PORTS",
        "Names": "NAMES",
        "Labels": "LABELS",
        "Networks": "NETWORKS",
        "Mounts": "MOUNTS",
        "LocalVolumes": "LOCAL VOLUMES",
        "Size": "SIZE",
    },
    "ID",
)
_COMMAND_SHOWN = 20  # characters


def main(client: Client, arguments: Arguments) -> int:
    """List containers, newest first."""
    query = filters(arguments.filter)
    last = 1 if arguments.latest else arguments.last
    if arguments.all:
        query["all"] = "1"
    if last > 0:
        query["limit"] = str(last)
    if arguments.size:
        query["size"] = "1"
    rows = [_row(container, full=arguments.no_trunc) for container in client.get("/containers/json", query)]
    layout = LAYOUT._replace(table=LAYOUT.table + "\t{{.Size}}") if arguments.size else LAYOUT
    print(listed(rows, layout, arguments.format, quiet=arguments.quiet), end="")
    return 0


def _row(container: dict[str, Any], *, full: bool) -> Row:
    labels = container.get("Labels") or {}
    command = container["Command"]
    if not full and len(command) > _COMMAND_SHOWN:
        command = command[: _COMMAND_SHOWN - 1] + "…"
    mounts = [mount.get("Name") or mount.get("Source", "") for mount in container.get("Mounts") or ()]
    fields = {
        "Command": f'"{command}"',
        "CreatedAt": local_time(container["Created"]),
        "ID": container["Id"] if full else container["Id"][:12],
        "Image": container["Image"] or "<no image>",
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "LocalVolumes": str(sum(mount.get("Driver") == "local" for mount in container.get("Mounts") or ())),
        "Mounts": ",".join(mounts),
        "Names": _names(container["Names"], full=full),
        "Networks": ",".join(sorted((container.get("NetworkSettings") or {}).get("Networks") or {})),
        "Ports": shown_ports(container.get("Ports") or ()),
        "RunningFor": human_span(time.time() - container["Created"]) + " ago",
        "Size": f"{container.get('SizeRw', 0)}B",
        "State": container["State"],
        "Status": container["Status"],
    }
    return Row(fields, {"Label": lambda key: labels.get(key, "")})


def _names(names: list[str], *, full: bool) -> str:
    """Without the leading slash; names by which another container links it only in full."""
    plain = [name.removeprefix("/") for name in names]
    return ",".join(plain if full else [name for name in plain if "/" not in name])
