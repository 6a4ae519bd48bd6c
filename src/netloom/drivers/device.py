"""Device networks: an interface of the host is moved into a container, whole, and comes back at its end."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from netloom.drivers import parents
from netloom.drivers.options import PARENT, refuse_unknown
from netloom.model.desired import Desired, HostFacts, LinkKind
from netloom.model.endpoint import Endpoint
from netloom.model.errors import Conflict, InvalidArgument
from netloom.model.network import Network, NetworkRequest

KNOWN = (PARENT,)
STAYS_WITH_ITS_RADIO = (
    "a wireless interface moves with its whole radio alone (iw phy); take the driver ipvlan on it,"
    " which shares its MAC, or another interface"
)


class DeviceDriver:
    """One interface, one container at a time. What is told of it here does not depend on where it is just now."""

    name = "device"
    singleton = False

    def options(self, request: NetworkRequest, network_id: str, default_mtu: int) -> tuple[dict[str, str], int, str]:
        """The interface must be named."""
        if not request.config_only:
            refuse_unknown(request.options, KNOWN, self.name)
            if not request.options.get(PARENT):
                raise InvalidArgument(
                    "a device network needs option parent", remedy="name an interface of the host: -o parent=eth2"
                )
            parents.check_common(self.name, request.options)
        return dict(request.options), default_mtu, ""

    def internal(self, request: NetworkRequest) -> bool:
        """As asked: without a default route."""
        return request.internal

    def needs(self, network: Network, facts: HostFacts) -> list[LinkKind]:
        """Nothing is made."""
        return []

    def check(self, network: Network, others: Sequence[Network], facts: HostFacts | None = None) -> None:
        """An interface that is there, that nobody else uses, and that is not the host's own way."""
        parent = parents.parent_of(network)
        for other in parents.users(parent, others):
            raise Conflict(
                f"{other.driver} network {other.name} ({other.id}) is already using parent interface {parent}",
                remedy="an interface that goes into a container goes whole; choose another one",
            )
        if facts is not None:
            _check_interface(parent, facts)

    def admit(self, network: Network, name: str, mac: str, others: Collection[Endpoint], facts: HostFacts) -> None:
        """Raises Conflict naming the holder, or for an interface that has become the host's own meanwhile."""
        parent = parents.parent_of(network)
        for holder in others:
            who = parents.container_of(holder)
            raise Conflict(
                f"parent interface {parent} of network {network.name} is in container {who}",
                remedy=f"stop or disconnect {who} first: one container has it at a time",
            )
        parents.check_stands(network, facts)
        _check_interface(parent, facts)

    def network(self, network: Network, facts: HostFacts) -> list[Desired]:
        """Nothing on the host."""
        return []

    def endpoint(self, network: Network, endpoint: Endpoint, facts: HostFacts) -> list[Desired]:
        """All of it stands inside."""
        child = parents.child(network, endpoint, "device", mode="", mac=endpoint.mac)
        return parents.inside(network, endpoint, child)


def bound(parent: str) -> InvalidArgument:
    """What to tell of an interface that the kernel keeps in its namespace."""
    return InvalidArgument(
        f"parent interface {parent} cannot leave the host's network namespace", remedy=STAYS_WITH_ITS_RADIO
    )


def lends(network: Network) -> bool:
    """Is an interface of the host inside its container?"""
    return network.driver == DeviceDriver.name and not network.config_only


def _check_interface(parent: str, facts: HostFacts) -> None:
    there = facts.interface(parent)
    if there is None:
        raise InvalidArgument(
            f"parent interface {parent} was not found on the host", remedy="it must be there, and is not made"
        )
    if there.master:
        raise Conflict(
            f"parent interface {parent} is a port of {there.master}",
            remedy=f"take it from there (ip link set {parent} nomaster), or choose another one",
        )
    if there.kind in ("bridge", "bond", "team"):
        raise InvalidArgument(
            f"parent interface {parent} is a {there.kind}, which has ports on this host",
            remedy="choose an interface that can leave the host",
        )
    if there.addresses:
        raise Conflict(
            f"parent interface {parent} has addresses, which are lost when it leaves the host:"
            f" {', '.join(there.addresses)}",
            remedy=f"take them off it first (ip addr flush dev {parent}), or take the driver macvlan",
        )
