"""The daemon's options, in plain sight: each with its key in files, its flag, and the reader of its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from netloom.daemon import values


class Option(Struct, frozen=True, kw_only=True):
    """One option. `flag` is its name on the command line where that differs from `key`; `many` may be repeated.

    `docker` options have the same key and meaning in Docker's daemon.json.
    """

    key: str
    read: Callable[[object], Any]
    help: str
    metavar: str = ""
    flag: str = ""
    many: bool = False
    docker: bool = False

    @property
    def field(self) -> str:
        """The field of Config."""
        return self.key.replace("-", "_")

    @property
    def switch(self) -> str:
        """As typed on the command line."""
        return f"--{self.flag or self.key}"

    @property
    def boolean(self) -> bool:
        """May the flag stand without a value?"""
        return self.read is values.boolean


OPTIONS = (
    Option(key="socket", read=values.path, metavar="PATH", help="the API's unix socket"),
    Option(key="group", read=values.text, metavar="NAME", help="group of the socket (netloom, if it exists)"),
    Option(key="state-dir", read=values.path, metavar="DIR", help="what must survive a reboot"),
    Option(key="run-dir", read=values.path, metavar="DIR", help="sockets and pids"),
    Option(key="tcp", read=values.host_and_port, metavar="HOST:PORT", help="the API on TCP too, by mutual TLS only"),
    Option(key="tlscacert", read=values.path, metavar="PATH", help="CA that has signed the clients' certificates"),
    Option(key="tlscert", read=values.path, metavar="PATH", help="the daemon's certificate"),
    Option(key="tlskey", read=values.path, metavar="PATH", help="the key of that certificate"),
    Option(
        key="bip",
        docker=True,
        read=values.bridge_address_of(4),
        metavar="CIDR",
        help="IPv4 address of the default bridge",
    ),
    Option(
        key="bip6",
        docker=True,
        read=values.bridge_address_of(6),
        metavar="CIDR",
        help="IPv6 address of the default bridge",
    ),
    Option(
        key="fixed-cidr",
        docker=True,
        read=values.subnet_of(4),
        metavar="CIDR",
        help="containers of the default bridge get IPv4 addresses of this part of its subnet",
    ),
    Option(
        key="fixed-cidr-v6", docker=True, read=values.subnet_of(6), metavar="CIDR", help="the same for IPv6 addresses"
    ),
    Option(
        key="default-gateway",
        docker=True,
        read=values.address_of(4),
        metavar="IP",
        help="gateway of the default bridge's containers, if not the bridge",
    ),
    Option(
        key="mtu", docker=True, read=values.number, metavar="BYTES", help="of the default bridge (0: as its uplink's)"
    ),
    Option(key="ip", docker=True, read=values.address, metavar="IP", help="published ports listen on this address"),
    Option(
        key="publish",
        docker=True,
        read=values.choice("open", "cooperate"),
        metavar="MODE",
        help="who may reach published ports: all (open), or whom the host's own firewall lets in (cooperate)",
    ),
    Option(key="icc", docker=True, read=values.boolean, help="containers of the default bridge reach each other"),
    Option(key="ipv6", docker=True, read=values.boolean, help="IPv6 on the default bridge"),
    Option(key="ip-masq", docker=True, read=values.boolean, help="masquerade what leaves the default bridge"),
    Option(key="ip-forward", docker=True, read=values.boolean, help="switch forwarding on for bridges and uplinks"),
    Option(
        key="default-address-pools",
        flag="default-address-pool",
        docker=True,
        many=True,
        read=values.each(values.pool),
        metavar="base=CIDR,size=N",
        help="networks without a subnet take one from here",
    ),
    Option(
        key="default-network-opts",
        flag="default-network-opt",
        docker=True,
        many=True,
        read=values.network_options,
        metavar="DRIVER=KEY=VALUE",
        help="option of every new network of a driver",
    ),
    Option(
        key="dns",
        docker=True,
        many=True,
        read=values.each(values.address),
        metavar="IP",
        help="name server of containers, if not the host's",
    ),
    Option(
        key="dns-opts",
        flag="dns-opt",
        docker=True,
        many=True,
        read=values.each(values.text),
        metavar="OPTION",
        help="option for their resolv.conf",
    ),
    Option(
        key="dns-search",
        docker=True,
        many=True,
        read=values.each(values.domain),
        metavar="DOMAIN",
        help="their search domain",
    ),
    Option(
        key="host-gateway-ips",
        flag="host-gateway-ip",
        docker=True,
        many=True,
        read=values.each(values.address),
        metavar="IP",
        help="what host-gateway means in --add-host",
    ),
    Option(
        key="log-level",
        docker=True,
        read=values.choice("debug", "info", "warn", "error", "fatal"),
        metavar="LEVEL",
        help="debug, info, warn, error or fatal",
    ),
    Option(
        key="log-format",
        docker=True,
        read=values.choice("text", "json"),
        metavar="FORMAT",
        help="text (logfmt) or json",
    ),
)

BY_KEY = {option.key: option for option in OPTIONS}
