"""`netloom network create`."""

from __future__ import annotations

import sys
from typing import Any

from netloom.cli.client import Client
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.labels import labels
from netloom.cli.network.subnets import ipam_config

USAGE = Usage(
    "network create",
    "NETWORK",
    1,
    1,
    "Create a network",
    (
        Flag("attachable", kind="bool", help="Enable manual container attachment"),
        Flag("aux-address", kind="map", help="Auxiliary IPv4 or IPv6 addresses used by Network driver"),
        Flag("config-from", help="The network from which to copy the configuration"),
        Flag("config-only", kind="bool", help="Create a configuration only network"),
        Flag("driver", "d", help='Driver to manage the Network (default "bridge")', default="bridge"),
        Flag("gateway", kind="csv", help="IPv4 or IPv6 Gateway for the master subnet"),
        Flag("ingress", kind="bool", help="Create swarm routing-mesh network"),
        Flag("internal", kind="bool", help="Restrict external access to the network"),
        Flag("ip-range", kind="csv", help="Allocate container ip from a sub-range"),
        Flag("ipam-driver", help='IP Address Management Driver (default "default")', default="default"),
        Flag("ipam-opt", kind="map", help="Set IPAM driver specific options"),
        Flag("ipv4", kind="bool", help="Enable or disable IPv4 address assignment (default true)"),
        Flag("ipv6", kind="bool", help="Enable or disable IPv6 address assignment"),
        Flag("label", kind="list", help="Set metadata on a network"),
        Flag("opt", "o", "map", "Set driver specific options"),
        Flag("scope", help="Control the network's scope"),
        Flag("subnet", kind="csv", help="Subnet in CIDR format that represents a network segment"),
    ),
)


def main(client: Client, arguments: Arguments) -> int:
    """Create it and print its id."""
    config = ipam_config(arguments.subnet, arguments.ip_range, arguments.gateway, arguments.aux_address)
    body: dict[str, Any] = {
        "Name": arguments.words[0],
        "Driver": arguments.driver,
        "Scope": arguments.scope,
        "Internal": arguments.internal,
        "Attachable": arguments.attachable,
        "Ingress": arguments.ingress,
        "ConfigOnly": arguments.config_only,
        "ConfigFrom": {"Network": arguments.config_from} if arguments.config_from else None,
        "IPAM": {"Driver": arguments.ipam_driver, "Options": arguments.ipam_opt, "Config": config},
        "Options": arguments.opt,
        "Labels": labels(arguments.label),
    }
    for family in ("ipv4", "ipv6"):
        if family in arguments.given:
            body["EnableIPv" + family[-1]] = getattr(arguments, family)
    created = client.post("/networks/create", body)
    if created.get("Warning"):
        print(f"WARNING: {created['Warning']}", file=sys.stderr)
    print(created["Id"])
    return 0
