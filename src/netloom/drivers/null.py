"""The predefined network `none`, and networks that only hold a configuration: a sandbox with nothing but loopback."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from netloom.drivers.options import refuse_unknown
from netloom.model.desired import Desired, HostFacts, LinkKind
from netloom.model.endpoint import Endpoint
from netloom.model.network import Network, NetworkRequest


class NullDriver:
    """Nothing to make: no interface but loopback."""

    name = "null"
    singleton = True

    def options(self, request: NetworkRequest, network_id: str, default_mtu: int) -> tuple[dict[str, str], int, str]:
        """It has none; a configuration network keeps those of the driver that will be asked."""
        if not request.config_only:
            refuse_unknown(request.options, (), self.name)
        return dict(request.options), default_mtu, ""

    def check(self, network: Network, others: Sequence[Network], facts: HostFacts | None = None) -> None:
        """Beside any other."""

    def internal(self, request: NetworkRequest) -> bool:
        """As asked."""
        return request.internal

    def needs(self, network: Network, facts: HostFacts) -> list[LinkKind]:
        """Nothing that a kernel of our users lacks."""
        return []

    def admit(self, network: Network, name: str, mac: str, others: Collection[Endpoint], facts: HostFacts) -> None:
        """Any."""

    def network(self, network: Network, facts: HostFacts) -> list[Desired]:
        """Nothing."""
        return []

    def endpoint(self, network: Network, endpoint: Endpoint, facts: HostFacts) -> list[Desired]:
        """Nothing."""
        return []
