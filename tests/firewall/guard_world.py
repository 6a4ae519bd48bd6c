"""Containers on networks that differ in their guard alone, and what of one's frames reaches another."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack

from frames import IP, TOKEN, UDP, ethernet, ipv4, udp
from putting_up import put_up

from netloom.drivers.registry import driver
from netloom.firewall.forwarding import forwarding
from netloom.model.desired import Desired, HostFacts
from netloom.model.endpoint import Endpoint, PortBinding
from netloom.model.network import IpamConfig, Network
from netloom.testing.hosts import Host, Netns, eventually

NETWORKS = {  # name: number, options
    "kept": (1, {}),
    "loose": (2, {"netloom.guard": "false"}),
    "lenient": (3, {"netloom.guard.ethertypes": "0x88b5"}),
    "apart": (4, {"com.docker.network.bridge.enable_icc": "false"}),
}
PLACES = {"a": 2, "b": 3, "r1": 4, "r2": 5}  # on each network; the routers are privileged
FURTHER = 99  # a further address of `a`
PORT = 8000  # published from port 80 of `b`, plus the number of the network

_ETH_P_ALL = 3


def ip4(network: str, place: str | int) -> str:
    """The address of a container; 1 is the gateway's."""
    return f"172.31.{NETWORKS[network][0]}.{PLACES.get(str(place), place)}"


def ip6(network: str, place: str | int) -> str:
    """The same for IPv6."""
    last = PLACES.get(str(place), place)
    return f"fd00:31:{NETWORKS[network][0]}::{last:x}" if isinstance(last, int) else last


def mac_of(network: str, place: str) -> str:
    return f"02:42:00:00:{NETWORKS[network][0]:02x}:{PLACES[place]:02x}"


def link_local(network: str, place: str) -> str:
    """As the kernel makes it of the MAC address."""
    return f"fe80::42:ff:fe00:{NETWORKS[network][0]:x}{PLACES[place]:02x}"


class GuardWorld:
    """One host, four networks, four containers on each; `host` has no way out."""

    def __init__(self, stack: ExitStack, bridge_netfilter: bool) -> None:
        self.bridge_netfilter = bridge_netfilter
        self.host = stack.enter_context(Host())
        self.host.bridge_netfilter(bridge_netfilter)
        self.places = {(n, p): stack.enter_context(Netns()) for n in NETWORKS for p in PLACES}
        self._sockets: dict[tuple[str, str], socket.socket] = {}
        self._asked = 0
        sandboxes = {f"{network} {place}": netns for (network, place), netns in self.places.items()}
        self.host.call(put_up, self._wanted, sandboxes)
        for key, place in self.places.items():
            self._sockets[key] = stack.enter_context(place.call(_packet_socket))
            eventually(lambda key=key: self.host.ping(ip4(*key), timeout=0.3), what=str(key))  # type: ignore[misc]

        # As a router the host asks for neighbours from its link-local address, once it is sure of it.
        eventually(lambda: "tentative" not in self.host.run("ip", "-6", "addr"), what="link-local addresses")

    def send(self, network: str, place: str, frames: Sequence[bytes]) -> None:
        """Frames as they are, out of a container."""
        for frame in frames:
            self._sockets[network, place].send(frame)

    def arrives(self, network: str, place: str, to: str, name: bytes, frames: Sequence[bytes]) -> bool:
        """Do the frames, sent by `place`, show up at `to`? An honest one follows, so nothing has to be waited for."""
        self._asked += 1
        last = b"last-%d" % self._asked
        receiver = self._sockets[network, to]
        self.send(network, place, frames)
        self.send(network, place, [self.honest(network, place, to, last)])
        seen = False
        while True:
            frame = receiver.recv(65536)
            if TOKEN + last in frame:
                return seen
            seen |= TOKEN + name in frame

    def drained(self, network: str, place: str, name: bytes) -> bool:
        """Is such a frame among those that have arrived by now?"""
        receiver = self._sockets[network, place]
        seen = False
        receiver.setblocking(False)
        try:
            while True:
                seen |= TOKEN + name in receiver.recv(65536)
        except BlockingIOError:
            return seen
        finally:
            receiver.settimeout(5)

    def honest(self, network: str, place: str, to: str, name: bytes) -> bytes:
        """A datagram with the sender's own addresses."""
        packet = ipv4(ip4(network, place), ip4(network, to), UDP, udp(7, 7, name))
        return ethernet(mac_of(network, to), mac_of(network, place), IP, packet)

    def _wanted(self, facts: HostFacts) -> list[Desired]:
        networks = {name: _network(name) for name in NETWORKS}
        bridge = driver("bridge")
        wanted: list[Desired] = list(forwarding(networks.values(), facts).sysctls)
        for network in networks.values():
            wanted += bridge.network(network, facts)
            for place in PLACES:
                wanted += bridge.endpoint(network, _endpoint(network, place), facts)
        return wanted


def _network(name: str) -> Network:
    number, options = NETWORKS[name]
    return Network(
        id=f"{number:064x}",
        name=name,
        created=0,
        driver="bridge",
        number=number,
        ipv6=True,
        pools=(
            IpamConfig(subnet=f"172.31.{number}.0/24", gateway=ip4(name, 1)),
            IpamConfig(subnet=f"fd00:31:{number}::/64", gateway=ip6(name, 1)),
        ),
        options=options,
        bridge=f"br-{name}",
    )


def _endpoint(network: Network, place: str) -> Endpoint:
    number = 100 * network.number + PLACES[place]
    published = PortBinding(proto="tcp", container_port=80, host_ip="0.0.0.0", host_port=PORT + network.number)
    return Endpoint(
        id=f"{number:064x}",
        network=network.id,
        container=place,
        sandbox=f"{network.name} {place}",
        number=number,
        host_name=f"nl{number:012x}",
        inner_name="eth0",
        inner_index=2,
        mac=mac_of(network.name, place),
        ipv4=f"{ip4(network.name, place)}/24",
        ipv6=f"{ip6(network.name, place)}/64",
        gateway4=ip4(network.name, 1),
        gateway6=ip6(network.name, 1),
        default4=True,
        default6=True,
        ports=(published,) if place == "b" else (),
        further=(ip4(network.name, FURTHER),) if place == "a" else (),
        routing=place.startswith("r"),
    )


def _packet_socket() -> socket.socket:
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    one.bind(("eth0", 0))
    one.settimeout(5)
    return one
