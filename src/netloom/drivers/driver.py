"""The shape that all drivers share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from netloom.model.desired import Desired, HostFacts, LinkKind
from netloom.model.endpoint import Endpoint
from netloom.model.network import Network, NetworkRequest


class Driver(Protocol):
    """One kind of network. Pure: equal input gives equal output, nothing is touched."""

    name: str
    singleton: bool  # predefined only: a second network of this driver is Forbidden

    def options(self, request: NetworkRequest, network_id: str, default_mtu: int) -> tuple[dict[str, str], int, str]:
        """Check every option of a create request: (options as inspect shows them, MTU, name of the bridge or '').

        Raises InvalidArgument with Docker's sentence, Unsupported for what netloom does not carry out (yet).
        """
        ...

    def check(self, network: Network, others: Sequence[Network], facts: HostFacts | None = None) -> None:
        """Refuse a network that cannot stand beside the others, or whose pools this driver cannot serve.

        With `facts` also one that would take over an interface of the host: for new networks only.
        """
        ...

    def internal(self, request: NetworkRequest) -> bool:
        """Is the network that is asked for without a way out?"""
        ...

    def needs(self, network: Network, facts: HostFacts) -> list[LinkKind]:
        """The kinds of links that the kernel may lack, and must have for this network to be created."""
        ...

    def admit(self, network: Network, name: str, mac: str, others: Collection[Endpoint], facts: HostFacts) -> None:
        """Refuse an endpoint that cannot come beside the others of its network.

        `name` is its container's, `mac` what its user chose.
        """
        ...

    def network(self, network: Network, facts: HostFacts) -> list[Desired]:
        """The objects that make the network stand, in the order in which they may be added."""
        ...

    def endpoint(self, network: Network, endpoint: Endpoint, facts: HostFacts) -> list[Desired]:
        """The objects of one endpoint, in the order in which they may be added; never those of another endpoint."""
        ...
