"""`netloom network connect`."""

from __future__ import annotations

from netloom.cli.client import Client, segment
from netloom.cli.errors import CliError
from netloom.cli.flags import Arguments, Flag, Usage

USAGE = Usage(
    "network connect",
    "NETWORK CONTAINER",
    2,
    2,
    "Connect a container to a network",
    (
        Flag("alias", kind="csv", help="Add network-scoped alias for the container"),
        Flag("driver-opt", kind="csv", help="driver options for the network"),
        Flag("gw-priority", kind="int", help="Highest gw-priority provides the default gateway", default=0),
        Flag("ip", help='IPv4 address (e.g., "172.30.100.104")'),
        Flag("ip6", help='IPv6 address (e.g., "2001:db8::33")'),
        Flag("link", kind="list", help="Add link to another container"),
        Flag("link-local-ip", kind="csv", help="Add a link-local address for the container"),
    ),
)


def main(client: Client, arguments: Arguments) -> int:
    """Connect."""
    network, container = arguments.words
    options: dict[str, str] = {}
    for entry in arguments.driver_opt:
        key, equals, value = entry.partition("=")
        if not equals or not key:
            raise CliError("invalid key/value pair format in driver options")
        options[key] = value
    addresses = {
        "IPv4Address": arguments.ip,
        "IPv6Address": arguments.ip6,
        "LinkLocalIPs": arguments.link_local_ip,
    }
    config = {
        "IPAMConfig": {key: value for key, value in addresses.items() if value},
        "Links": arguments.link,
        "Aliases": arguments.alias,
        "DriverOpts": options,
        "GwPriority": arguments.gw_priority,
    }
    client.post(f"/networks/{segment(network)}/connect", {"Container": container, "EndpointConfig": config})
    return 0
