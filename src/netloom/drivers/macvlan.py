"""Macvlan networks: each container has a MAC of its own on an interface of the host, beside the host on its LAN."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from netloom.drivers import parents
from netloom.drivers.options import PARENT, refuse_unknown
from netloom.model.desired import Desired, HostFacts, LinkKind
from netloom.model.endpoint import Endpoint
from netloom.model.errors import Failed
from netloom.model.network import Network, NetworkRequest

MODE = "macvlan_mode"
MODES = ("bridge", "private", "vepa", "passthru")
KNOWN = (*parents.COMMON, MODE)


class MacvlanOptions(Struct, frozen=True):
    """What the options of a macvlan network mean. `parent` empty: a dummy, and the network is internal."""

    parent: str = ""
    mode: str = "bridge"

    @staticmethod
    def parse(options: Mapping[str, str]) -> MacvlanOptions:
        """Check every option. Raises Failed in Docker's words, InvalidArgument for an unknown one."""
        mode = options.get(MODE) or "bridge"
        if mode not in MODES:
            raise Failed(
                f"requested macvlan mode '{mode}' is not valid, 'bridge' mode is the macvlan driver default",
                remedy=f"there are {', '.join(MODES)}",
            )
        parents.check_common("macvlan", options)
        refuse_unknown(options, KNOWN, "macvlan")
        parents.check_host_access(options, shared=mode == "bridge")
        return MacvlanOptions(options.get(PARENT, ""), mode)


class MacvlanDriver:
    """Networks on an interface of the host, which goes on as before; the host itself is not reached."""

    name = "macvlan"
    singleton = False

    def options(self, request: NetworkRequest, network_id: str, default_mtu: int) -> tuple[dict[str, str], int, str]:
        """Options as written; the MTU is the parent's."""
        if not request.config_only:
            MacvlanOptions.parse(request.options)
        return dict(request.options), default_mtu, ""

    def internal(self, request: NetworkRequest) -> bool:
        """Without a parent there is no way out."""
        return request.internal or not request.options.get(PARENT)

    def needs(self, network: Network, facts: HostFacts) -> list[LinkKind]:
        """Its own kind, and that of a parent that must be made."""
        return ["macvlan", *parents.needs(network, facts)]

    def check(self, network: Network, others: Sequence[Network], facts: HostFacts | None = None) -> None:
        """Any number of subnets; a parent that is there or can be made, and mode passthru has it alone."""
        if facts is not None:
            parents.check_there(network, facts)
        parent, mode = parents.parent_of(network), _mode(network)
        for other in parents.same_parent(network, others):
            if other.driver == self.name and mode == "passthru":
                raise Failed(
                    f"cannot use mode passthru, macvlan network {other.id} is already using parent interface {parent}"
                )
            if other.driver == self.name and _mode(other) == "passthru":
                raise Failed(f"macvlan network {other.id} is already using parent interface {parent} in mode passthru")
        parents.check_beside(network, others)

    def network(self, network: Network, facts: HostFacts) -> list[Desired]:
        """The parent, where it is made for the network."""
        if network.config_only:
            return []
        made: list[Desired] = list(parents.made(network, facts))
        shim = parents.host_access(network) and parents.stands(network, facts)
        return [*made, *parents.shim(network, "macvlan", _shim_mac(network))] if shim else made

    def admit(self, network: Network, name: str, mac: str, others: Collection[Endpoint], facts: HostFacts) -> None:
        """Raises Failed when the parent has gone, or is taken whole by another container."""
        parents.check_stands(network, facts)
        for holder in others if _mode(network) == "passthru" else ():
            raise Failed(
                "failed to create the macvlan port: invalid argument",
                remedy=f"in mode passthru the parent takes one container: {parents.parent_of(network)}"
                f" is in container {parents.container_of(holder)}",
            )

    def endpoint(self, network: Network, endpoint: Endpoint, facts: HostFacts) -> list[Desired]:
        """All of it stands inside; nothing while the parent is not there."""
        mtu = parents.leased_mtu(network, endpoint, facts)
        child = parents.child(network, endpoint, "macvlan", mode=_mode(network), mac=endpoint.mac, mtu=mtu)
        return parents.beside_host(network, endpoint, child) if parents.stands(network, facts) else []


def _shim_mac(network: Network) -> str:
    return ":".join(("02", *(network.id[i : i + 2] for i in range(0, 10, 2))))


def _mode(network: Network) -> str:
    return network.options.get(MODE) or "bridge"
