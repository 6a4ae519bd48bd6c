"""What a container is called, and what its resolver knows: the engine's half of DNS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netloom.dns import records
from netloom.drivers.device import lends
from netloom.engine.core import Core, opened
from netloom.model.container import Container
from netloom.model.endpoint import Endpoint, EndpointConfig
from netloom.model.errors import NotFound
from netloom.model.names import NameEntry, Resolver, Upstream
from netloom.model.network import PREDEFINED, Network


def has_names(network: Network) -> bool:
    """Embedded DNS serves user-defined networks only."""
    return network.name not in PREDEFINED


def dns_names(container: Container, config: EndpointConfig) -> tuple[str, ...]:
    """Every name of an endpoint, in Docker's order: container, aliases, short id, hostname."""
    names = [container.name, *(config.aliases or ()), container.short_id, container.config.hostname]
    return tuple(dict.fromkeys(name for name in names if name))


class Names:
    """Keeps the data plane in step with the tables."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._open: set[str] = set()  # sandboxes whose 127.0.0.11 answers

    def entry(self, endpoint: Endpoint) -> NameEntry | None:
        """The names of an endpoint; None where its network has none."""
        network = self._core.tables.networks[endpoint.network]
        if not has_names(network):
            return None
        container = self._core.tables.containers[endpoint.container]
        return NameEntry(
            network=network.id,
            network_name=network.name,
            endpoint=endpoint.id,
            sandbox=container.sandbox,
            names=endpoint.dns_names,
            ptr=f"{container.name}.{network.name}",
            ipv4=endpoint.ipv4.partition("/")[0],
            ipv6=endpoint.ipv6.partition("/")[0],
        )

    def resolver(
        self, container: Container, endpoints: Iterable[Endpoint], upstreams: tuple[Upstream, ...]
    ) -> Resolver | None:
        """What 127.0.0.11 of the container knows; None when it never was on a network with names."""
        tables = self._core.tables
        standing = list(endpoints)
        named = [e for e in standing if has_names(tables.networks[e.network])]
        if not named and container.sandbox not in self._open:
            return None
        return Resolver(
            networks=tuple(e.network for e in named),
            upstreams=upstreams,
            forward=any(e.default4 or e.default6 for e in standing),
            links=tuple(self._links(container, named)),
            records=tuple(
                (e.network, text) for e in named if (text := tables.networks[e.network].options.get(records.OPTION))
            ),
            lent=any(lends(tables.networks[e.network]) for e in standing),
            **self._learnt(standing),
        )

    def _learnt(self, standing: Iterable[Endpoint]) -> dict[str, Any]:
        """What the firewall must know of the names that these endpoints' container asks for."""
        policies = self._core.policies
        if not policies.book.all_names:
            return {}
        rules = {rule: None for e in standing for rule in policies.book.names(policies.choice(e))}
        if not rules:
            return {}
        senders = [a.partition("/")[0] for e in standing for a in (e.ipv4, e.ipv6) if a]
        return {"names": tuple(rules), "senders": tuple(senders)}

    def _links(self, container: Container, named: list[Endpoint]) -> Iterable[tuple[str, str]]:
        """`--link TARGET:ALIAS` on user-defined networks: a name that this container alone knows."""
        tables = self._core.tables
        for endpoint in named:
            config = container.networks.get(tables.networks[endpoint.network].name)
            for link in (config.links if config else None) or ():
                ref, _, alias = link.partition(":")
                target = tables.container_named(ref) or tables.containers.get(ref)
                found = tables.endpoint(endpoint.network, target.id) if target else None
                if found is not None:
                    yield alias or ref, found.id

    async def serve(self, container: Container, endpoints: Iterable[Endpoint], upstreams: tuple[Upstream, ...]) -> None:
        """Open the resolver of a running container, or tell the open one what has changed.

        Raises ProcessLookupError when the container has just ended.
        """
        resolver = self.resolver(container, endpoints, upstreams)
        if resolver is None:
            return
        dataplane = self._core.dataplane
        if container.sandbox in self._open:
            try:
                await dataplane.set_resolver(container.sandbox, resolver)
                if resolver.lent and container.state.pid:
                    await dataplane.bind_sandbox(container.sandbox, container.state.pid)
                return
            except NotFound:
                self._open.discard(container.sandbox)  # closed by itself, as when its process ends
        with opened(self._core.sandboxes[container.sandbox]) as fd:
            await dataplane.open_sandbox(container.sandbox, fd, container.state.pid, resolver)
        self._open.add(container.sandbox)

    async def close(self, container: Container) -> None:
        """The container has ended: its resolver and its names go."""
        if container.sandbox in self._open:
            self._open.discard(container.sandbox)
            await self._core.dataplane.close_sandbox(container.sandbox)

    def opened(self, sandboxes: Iterable[str]) -> None:
        """What the data plane says is open: nothing, where it was started anew."""
        self._open = set(sandboxes)

    async def put(self, endpoints: Iterable[Endpoint]) -> None:
        """Tell the data plane the names of these endpoints."""
        for endpoint in endpoints:
            if entry := self.entry(endpoint):
                await self._core.dataplane.put_names(entry)

    async def drop(self, endpoints: Iterable[Endpoint]) -> None:
        """Take them back."""
        for endpoint in endpoints:
            if has_names(self._core.tables.networks[endpoint.network]):
                await self._core.dataplane.drop_names(endpoint.id)
