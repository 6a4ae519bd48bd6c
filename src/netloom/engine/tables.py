"""The tables: every network, container and endpoint, as immutable values that only the engine replaces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from netloom.model.container import Container
from netloom.model.endpoint import Endpoint
from netloom.model.errors import InvalidArgument, NotFound
from netloom.model.network import Network
from netloom.model.policy import Policy

Row = tuple[str, str, bytes | None]
T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


def network_row(network: Network) -> Row:
    """The row of a network."""
    return ("networks", network.id, _encode(network))


def container_row(container: Container) -> Row:
    """The row of a container."""
    return ("containers", container.id, _encode(container))


def endpoint_row(endpoint: Endpoint) -> Row:
    """The row of an endpoint."""
    return ("endpoints", endpoint.id, _encode(endpoint))


def policy_row(policy: Policy) -> Row:
    """The row of a policy."""
    return ("policies", policy.name, _encode(policy))


def gone(table: str, key: str) -> Row:
    """The change that removes a row."""
    return (table, key, None)


def decode(rows: dict[str, bytes], kind: type[T]) -> list[T]:
    """Rows back into values."""
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(body) for body in rows.values()]


class Tables:
    """Look-ups in constant time by id and name; prefixes of ids are searched only when those fail."""

    def __init__(self) -> None:
        self.networks: dict[str, Network] = {}
        self.containers: dict[str, Container] = {}
        self.by_network: dict[str, dict[str, Endpoint]] = {}  # network id → container id → endpoint
        self.by_container: dict[str, dict[str, Endpoint]] = {}  # container id → network id → endpoint
        self._network_names: dict[str, str] = {}
        self._container_names: dict[str, str] = {}

    def put_network(self, network: Network) -> None:
        """Add or replace."""
        self.networks[network.id] = network
        self._network_names[network.name] = network.id

    def drop_network(self, network: Network) -> None:
        """Forget; unknown is success."""
        self.networks.pop(network.id, None)
        if self._network_names.get(network.name) == network.id:
            del self._network_names[network.name]
        self.by_network.pop(network.id, None)

    def network_named(self, name: str) -> Network | None:
        """By full name."""
        key = self._network_names.get(name)
        return self.networks.get(key) if key else None

    def network(self, ref: str) -> Network:
        """By full id, full name, or unambiguous id prefix."""
        found = self.networks.get(ref) or self.network_named(ref)
        if found is not None:
            return found
        if not ref:
            raise InvalidArgument('invalid name or ID supplied: ""')
        matches = [n for key, n in self.networks.items() if key.startswith(ref)]
        if len(matches) > 1:
            raise InvalidArgument(f"network {ref} is ambiguous ({len(matches)} matches found on ID prefix)")
        if not matches:
            raise NotFound(f"network {ref} not found")
        return matches[0]

    def put_container(self, container: Container) -> None:
        """Add or replace; a changed name frees the old one."""
        old = self.containers.get(container.id)
        if old is not None and old.name != container.name:
            self._container_names.pop(old.name, None)
        self.containers[container.id] = container
        self._container_names[container.name] = container.id

    def drop_container(self, container: Container) -> None:
        """Forget; unknown is success."""
        self.containers.pop(container.id, None)
        if self._container_names.get(container.name) == container.id:
            del self._container_names[container.name]
        self.by_container.pop(container.id, None)

    def claim_name(self, name: str, container: Container) -> None:
        """A container that is being renamed has this name too, until it is put under it or yields it."""
        self._container_names[name] = container.id

    def yield_name(self, name: str, container: Container) -> None:
        """It keeps its old name after all."""
        if name != container.name and self._container_names.get(name) == container.id:
            del self._container_names[name]

    def container_named(self, name: str) -> Container | None:
        """By full name, with or without the leading slash."""
        key = self._container_names.get(name.removeprefix("/"))
        return self.containers.get(key) if key else None

    def container(self, ref: str) -> Container:
        """By full id, full name, or unambiguous id prefix."""
        found = self.containers.get(ref) or self.container_named(ref)
        if found is not None:
            return found
        if not ref:
            raise InvalidArgument('invalid name or ID supplied: ""')
        matches = [c for key, c in self.containers.items() if key.startswith(ref)]
        if len(matches) > 1:
            raise InvalidArgument(f"multiple IDs found with provided prefix: {ref}")
        if not matches:
            raise NotFound(f"No such container: {ref}")
        return matches[0]

    def put_endpoint(self, endpoint: Endpoint) -> None:
        """Add or replace."""
        self.by_network.setdefault(endpoint.network, {})[endpoint.container] = endpoint
        self.by_container.setdefault(endpoint.container, {})[endpoint.network] = endpoint

    def drop_endpoint(self, endpoint: Endpoint) -> None:
        """Forget; unknown is success."""
        for table, outer, inner in (
            (self.by_network, endpoint.network, endpoint.container),
            (self.by_container, endpoint.container, endpoint.network),
        ):
            row = table.get(outer)
            if row is not None:
                row.pop(inner, None)
                if not row:
                    del table[outer]

    def endpoint(self, network: str, container: str) -> Endpoint | None:
        """The endpoint of a container in a network, both by id."""
        return self.by_container.get(container, {}).get(network)

    def endpoints_of(self, container: str) -> Iterable[Endpoint]:
        """In the order in which they were attached."""
        return list(self.by_container.get(container, {}).values())

    def endpoints_on(self, network: str) -> Iterable[Endpoint]:
        """In the order in which they were attached."""
        return list(self.by_network.get(network, {}).values())
