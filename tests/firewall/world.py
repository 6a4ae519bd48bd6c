"""Two ordinary networks, an IPv4-only, an internal, and one of each further kind, on a host between two others.

Everything is what the bridge driver wants, put there by the kernel package. In each container and beyond the uplink
a server on port 80 tells the client's address; `PUBLISHED` lists the ports of the host.
"""

from __future__ import annotations

from contextlib import ExitStack

from putting_up import put_up
from relay import TestRelay

from netloom.drivers.registry import driver
from netloom.firewall.elements import relay_elements
from netloom.firewall.forwarding import forwarding
from netloom.model.desired import Desired, Element, HostFacts
from netloom.model.endpoint import Endpoint, PortBinding
from netloom.model.network import IpamConfig, Network
from netloom.testing.hosts import Host, Netns, Proto, eventually

OUTSIDE4, OUTSIDE6 = "198.51.100.1", "2001:db8:ff::1"
HOST4, HOST6 = "198.51.100.2", "2001:db8:ff::2"
LAN4, LAN_HOST4 = "10.9.0.2", "10.9.0.1"  # a second neighbour of the host, of no concern to netloom
LAN6, LAN_HOST6 = "fd09::2", "fd09::1"
SERVICE = 7000  # of the host itself, on each of its addresses
PROTOCOLS: tuple[Proto, ...] = ("tcp", "udp")

BRIDGE = "com.docker.network.bridge."
NETWORKS: dict[str, tuple[int, bool, bool, dict[str, str]]] = {  # name: number, IPv6, internal, options
    "red": (1, True, False, {}),
    "blue": (2, True, False, {}),
    "vault": (3, True, True, {}),
    "plain": (4, False, False, {}),
    "routed": (6, True, False, {f"{BRIDGE}gateway_mode_ipv4": "routed", f"{BRIDGE}gateway_mode_ipv6": "routed"}),
    "naked": (
        7,
        True,
        False,
        {f"{BRIDGE}gateway_mode_ipv4": "nat-unprotected", f"{BRIDGE}gateway_mode_ipv6": "nat-unprotected"},
    ),
}
CONTAINERS = {  # name: network, last number of its addresses
    "web": ("red", 2),
    "peer": ("red", 3),
    "blue": ("blue", 2),
    "vault": ("vault", 2),
    "vault2": ("vault", 3),
    "plain": ("plain", 2),
    "way": ("routed", 2),
    "naked": ("naked", 2),
}
PUBLISHED = {  # container: host address, host port
    "web": [
        ("0.0.0.0", 8080),
        ("::", 8080),
        (HOST4, 8081),
        ("127.0.0.1", 8082),
        (HOST6, 8083),
        ("::1", 8084),
    ],
    "plain": [("0.0.0.0", 9080), ("::", 9080), (HOST6, 9083)],
    "vault": [("0.0.0.0", 6080), ("::", 6080)],
    "way": [("0.0.0.0", 0), ("::", 0)],
}


def address(name: str, family: int = 4) -> str:
    """Of a container, or of a network's gateway (`gw:red`)."""
    network, last = (name[3:], 1) if name.startswith("gw:") else CONTAINERS[name]
    number = NETWORKS[network][0]
    return f"172.30.{number}.{last}" if family == 4 else f"fd00:30:{number}::{last}"


class World:
    """The host, what is around it, and the containers by name."""

    def __init__(self, stack: ExitStack, bridge_netfilter: bool) -> None:
        self.host = stack.enter_context(Host(uplink=True))
        self.places: dict[str, Netns] = {"host": self.host, "outside": self.host.outside}
        for name in [*CONTAINERS, "lan"]:
            self.places[name] = stack.enter_context(Netns())
        self.host.bridge_netfilter(bridge_netfilter)
        self._lay_lan()
        for place, gateway4, gateway6 in (("outside", HOST4, HOST6), ("lan", LAN_HOST4, LAN_HOST6)):
            self.places[place].run("ip", "route", "add", "172.30.0.0/16", "via", gateway4)
            self.places[place].run("ip", "-6", "route", "add", "fd00:30::/32", "via", gateway6)
        self.relay = TestRelay(self.host, _relayed())
        stack.callback(self.relay.close)
        self.facts = self.host.call(put_up, self._wanted, {name: self.places[name] for name in CONTAINERS})
        for name in ("vault", "vault2"):  # with NET_ADMIN a container may make itself a way out
            self.places[name].run("ip", "route", "add", "default", "via", address("gw:vault"))
            self.places[name].run("ip", "-6", "route", "add", "default", "via", address("gw:vault", 6))
        for name in CONTAINERS:  # a bridge drops until the kernel has noticed its first port
            eventually(lambda name=name: self.host.ping(address(name), timeout=0.3), what=name)  # type: ignore[misc]
        # As a router the host asks for neighbours from its link-local address, once it is sure of it.
        eventually(lambda: "tentative" not in self.host.run("ip", "-6", "addr"), what="link-local addresses")
        for name in [*CONTAINERS, "outside", "lan"]:
            self._serve(stack, name, ("0.0.0.0", "::"), 80)
        every = [HOST4, HOST6, *(address(f"gw:{n}") for n in NETWORKS), address("gw:red", 6), address("gw:vault", 6)]
        self._serve(stack, "host", every, SERVICE)

    def _lay_lan(self) -> None:
        lan = self.places["lan"]
        self.host.run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", lan.netns_path)
        for place, link, addresses in (
            (self.host, "eth1", (LAN_HOST4, LAN_HOST6)),
            (lan, "eth0", (LAN4, LAN6)),
        ):
            place.sysctl(f"net/ipv6/conf/{link}/accept_dad", "0")
            place.run("ip", "addr", "add", f"{addresses[0]}/24", "dev", link)
            place.run("ip", "addr", "add", f"{addresses[1]}/64", "dev", link, "nodad")
            place.run("ip", "link", "set", link, "up")
        lan.run("ip", "route", "add", "default", "via", LAN_HOST4)
        lan.run("ip", "-6", "route", "add", "default", "via", LAN_HOST6)
        self.host.outside.run("ip", "route", "add", "10.9.0.0/24", "via", HOST4)
        self.host.outside.run("ip", "-6", "route", "add", "fd09::/64", "via", HOST6)

    def _wanted(self, facts: HostFacts) -> list[Desired]:
        networks = {name: _network(name) for name in NETWORKS}
        self.switches = forwarding(networks.values(), facts)
        bridge = driver("bridge")
        wanted: list[Desired] = [
            *self.switches.sysctls,
            *self.switches.elements,
            *relay_elements(self.relay.port),
        ]
        for network in networks.values():
            wanted += bridge.network(network, facts)
        for number, name in enumerate(CONTAINERS):
            network = networks[CONTAINERS[name][0]]
            wanted += bridge.endpoint(network, _endpoint(name, number, network), facts)
        self.elements = [o for o in wanted if isinstance(o, Element)]
        return wanted

    def _serve(self, stack: ExitStack, name: str, addresses: tuple[str, ...] | list[str], port: int) -> None:
        for where in addresses:
            for proto in PROTOCOLS:
                stack.enter_context(self.places[name].serve(where, port, proto, tag=name))


def _network(name: str) -> Network:
    number, ipv6, internal, options = NETWORKS[name]
    pools = [IpamConfig(subnet=f"172.30.{number}.0/24", gateway=f"172.30.{number}.1")]
    if ipv6:
        pools.append(IpamConfig(subnet=f"fd00:30:{number}::/64", gateway=f"fd00:30:{number}::1"))
    return Network(
        id=f"{number:064x}",
        name=name,
        created=0,
        driver="bridge",
        number=number,
        ipv6=ipv6,
        internal=internal,
        pools=tuple(pools),
        options=options,
        bridge=f"br-{name}",
    )


def _endpoint(name: str, number: int, network: Network) -> Endpoint:
    outward = not network.internal
    return Endpoint(
        id=f"{number + 100:064x}",
        network=network.id,
        container=name,
        sandbox=name,
        number=100 + number,
        host_name=f"nl{number:012x}",
        inner_name="eth0",
        inner_index=2,
        mac=f"02:42:00:00:00:{number:02x}",
        ipv4=f"{address(name)}/24",
        ipv6=f"{address(name, 6)}/64" if network.ipv6 else "",
        gateway4=address(f"gw:{network.name}"),
        gateway6=address(f"gw:{network.name}", 6) if network.ipv6 else "",
        default4=outward,
        default6=outward and network.ipv6,
        ports=_ports(name),
    )


def _relayed() -> dict[tuple[str, int], tuple[str, int]]:
    return {
        (ip, port): (address(name), 80)
        for name, ports in PUBLISHED.items()
        if name != "vault"
        for ip, port in ports
        if ":" in ip and port
    }


def _ports(name: str) -> tuple[PortBinding, ...]:
    return tuple(
        PortBinding(proto=proto, container_port=80, host_ip=ip, host_port=port)
        for ip, port in PUBLISHED.get(name, ())
        for proto in PROTOCOLS
    )
