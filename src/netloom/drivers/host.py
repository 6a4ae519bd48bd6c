"""The predefined network `host`: no isolation, the container uses the host's own stack."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from netloom.drivers.options import refuse_unknown
from netloom.model.desired import Desired, HostFacts, LinkKind
from netloom.model.endpoint import Endpoint
from netloom.model.network import Network, NetworkRequest


class HostDriver:
    """Nothing to make; the one network of this driver has no addresses of its own."""

    name = "host"
    singleton = True

    def options(self, request: NetworkRequest, network_id: str, default_mtu: int) -> tuple[dict[str, str], int, str]:
        """It has none."""
        refuse_unknown(request.options, (), self.name)
        return {}, default_mtu, ""

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
