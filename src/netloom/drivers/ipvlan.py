"""Ipvlan networks: containers share the MAC of an interface of the host, and are told apart by their addresses."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from netloom.drivers import parents
from netloom.drivers.options import PARENT, refuse_unknown
from netloom.model.desired import Desired, HostFacts, LinkKind
from netloom.model.endpoint import Endpoint
from netloom.model.errors import Conflict, Failed
from netloom.model.network import Network, NetworkRequest

MODE = "ipvlan_mode"
MODES = ("l2", "l3", "l3s")
FLAG = "ipvlan_flag"
FLAGS = ("bridge", "private", "vepa")
KNOWN = (*parents.COMMON, MODE, FLAG)


class IpvlanOptions(Struct, frozen=True):
    """What the options of an ipvlan network mean. `parent` empty: a dummy, and the network is internal."""

    parent: str = ""
    mode: str = "l2"
    flag: str = "bridge"

    @staticmethod
    def parse(options: Mapping[str, str]) -> IpvlanOptions:
        """Check every option. Raises Failed in Docker's words, InvalidArgument for an unknown one."""
        mode, flag = options.get(MODE) or "l2", options.get(FLAG) or "bridge"
        if mode not in MODES:
            raise Failed(
                f"requested ipvlan mode '{mode}' is not valid, 'l2' mode is the ipvlan driver default",
                remedy=f"there are {', '.join(MODES)}",
            )
        if flag not in FLAGS:
            raise Failed(
                f"requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default",
                remedy=f"there are {', '.join(FLAGS)}",
            )
        parents.check_common("ipvlan", options)
        refuse_unknown(options, KNOWN, "ipvlan")
        parents.check_host_access(options, shared=(mode, flag) == ("l2", "bridge"))
        return IpvlanOptions(options.get(PARENT, ""), mode, flag)


class IpvlanDriver:
    """Networks on an interface of the host, which goes on as before; the host itself is not reached."""

    name = "ipvlan"
    singleton = False

    def options(self, request: NetworkRequest, network_id: str, default_mtu: int) -> tuple[dict[str, str], int, str]:
        """Options as written; the MTU is the parent's."""
        if not request.config_only:
            IpvlanOptions.parse(request.options)
        return dict(request.options), default_mtu, ""

    def internal(self, request: NetworkRequest) -> bool:
        """Without a parent there is no way out."""
        return request.internal or not request.options.get(PARENT)

    def needs(self, network: Network, facts: HostFacts) -> list[LinkKind]:
        """Its own kind, and that of a parent that must be made."""
        return ["ipvlan", *parents.needs(network, facts)]

    def check(self, network: Network, others: Sequence[Network], facts: HostFacts | None = None) -> None:
        """Any number of subnets; a parent that is there or can be made, on which all have one mode and flag."""
        if facts is not None:
            parents.check_there(network, facts)
        own = _kept(network)
        for other in parents.same_parent(network, others):
            if other.driver == self.name and _kept(other) != own:
                mode, flag = _kept(other)
                raise Conflict(
                    f"ipvlan network {other.name} ({other.id}) is already using parent interface"
                    f" {parents.parent_of(network)} in mode {mode} with flag {flag}",
                    remedy="the kernel has one mode and flag for all on a parent: take the same, or a VLAN of it",
                )
        parents.check_beside(network, others)

    def network(self, network: Network, facts: HostFacts) -> list[Desired]:
        """The parent, where it is made for the network."""
        if network.config_only:
            return []
        made: list[Desired] = list(parents.made(network, facts))
        shim = parents.host_access(network) and parents.stands(network, facts)
        return [*made, *parents.shim(network, "ipvlan")] if shim else made

    def admit(self, network: Network, name: str, mac: str, others: Collection[Endpoint], facts: HostFacts) -> None:
        """Raises Failed when the parent has gone, or for a MAC, which is the parent's."""
        if mac:
            raise Failed(
                f"failed to create endpoint {name} on network {network.name}:"
                " ipvlan interfaces do not support custom mac address assignment"
            )
        parents.check_stands(network, facts)

    def endpoint(self, network: Network, endpoint: Endpoint, facts: HostFacts) -> list[Desired]:
        """All of it stands inside; nothing while the parent is not there."""
        mtu = parents.leased_mtu(network, endpoint, facts)
        mode, flag = _kept(network)
        child = parents.child(network, endpoint, "ipvlan", mode=mode, flag=flag, mtu=mtu)
        return parents.beside_host(network, endpoint, child) if parents.stands(network, facts) else []


def routes_by_device(network: Network) -> bool:
    """In the l3 modes nobody answers ARP: the default route names the interface and no gateway."""
    return network.driver == "ipvlan" and _kept(network)[0] != "l2"


def _kept(network: Network) -> tuple[str, str]:
    """What the kernel keeps for the whole parent."""
    return network.options.get(MODE) or "l2", network.options.get(FLAG) or "bridge"
