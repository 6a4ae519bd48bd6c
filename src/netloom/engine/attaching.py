"""Connecting a container to networks and disconnecting it, running or not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from netloom.dhcp.settings import by_dhcp
from netloom.drivers.endpoint_options import endpoint_faults
from netloom.drivers.parents import on_lan
from netloom.engine.allot import Allotments
from netloom.engine.announcing import Announcing
from netloom.engine.changeover import Changeover
from netloom.engine.core import Core
from netloom.engine.endpoints import Endpoints, Set
from netloom.engine.gateways import settle
from netloom.engine.leases import Leases, leased
from netloom.engine.names import Names, dns_names, has_names
from netloom.engine.publishing import Publishing
from netloom.engine.rebinding import Rebinding, Rebound
from netloom.engine.sandbox_files import SandboxFiles
from netloom.engine.tables import container_row
from netloom.ipam.endpoint import check_endpoint
from netloom.model.container import Container
from netloom.model.endpoint import Endpoint, EndpointConfig, PortBinding
from netloom.model.errors import Conflict, Failed, Forbidden, InvalidArgument, NotFound
from netloom.model.network import IpamConfig, Network, Status

SHARED_MODES = ("host", "container:")
SHARED_IS_ALONE = (
    "container sharing network namespace with another container or host cannot be connected to any other network"
)
HOST_MODE_ONLY = "cannot connect container to host network - container must be created in host network mode"
NONE_IS_ALONE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
UNPUBLISHED_MODES = (*SHARED_MODES, "none")


class Attaching:
    """Docker's `network connect` and `network disconnect`."""

    def __init__(self, core: Core, files: SandboxFiles) -> None:
        self._core = core
        self.endpoints = Endpoints(core)
        self.leases = Leases(core, self._alter)
        self.allot = Allotments(core, self.leases.give_back)
        self.names = Names(core)
        self.publishing = Publishing(core)
        self.announcing = Announcing(core)
        self._rebinding = Rebinding(core, self.publishing)
        self._changeover = Changeover(core, files, self.endpoints, self.names, self.publishing)

    async def connect(self, network_ref: str, container_ref: str, config: EndpointConfig) -> None:
        """Connect; a running container has the interface when it returns."""
        core = self._core
        network = core.tables.network(network_ref)
        container = core.tables.container(container_ref)
        async with core.lanes.hold(container.id):
            container = core.tables.container(container.id)
            network = core.tables.network(network.id)
            self._check(network, container, config)
            if not container.state.running:
                await self._record(container, network, config)
                return
            with _while_it_runs(container):
                await self._join(container, network, config)
        core.publish("network", "connect", network.id, container=container.id, name=network.name, type=network.driver)

    async def disconnect(self, network_ref: str, container_ref: str, *, force: bool) -> None:
        """Disconnect; the interface is unlisted when it returns."""
        core = self._core
        network = core.tables.network(network_ref)
        try:
            container = core.tables.container(container_ref)
        except NotFound:
            if force:
                raise NotFound(f"endpoint {container_ref} not found") from None
            raise
        async with core.lanes.hold(container.id):
            container = core.tables.container(container.id)
            if network.driver == "host" and container.host_config.network_mode == "host":
                raise InvalidArgument(
                    "cannot disconnect container from host network - container was created in host network mode"
                )
            if network.name not in container.networks:
                raise Failed(f"container {container.id} is not connected to network {network.name}")
            with _while_it_runs(container):
                await self._leave(container, network)
        core.publish(
            "network", "disconnect", network.id, container=container.id, name=network.name, type=network.driver
        )

    def _check(self, network: Network, container: Container, config: EndpointConfig) -> None:
        _refuse_dead(container)
        mode = container.host_config.network_mode
        if mode.startswith(SHARED_MODES):
            raise InvalidArgument(SHARED_IS_ALONE)
        faults = endpoint_faults(config.driver_opts or {}, network.driver)
        check_endpoint(config, network.name, subnets_of(network), faults)
        if network.driver == "host":
            raise InvalidArgument(HOST_MODE_ONLY)
        others = {name for name in container.networks if name != network.name}
        if others and (network.driver == "null" or "none" in others):
            raise InvalidArgument(NONE_IS_ALONE)
        if network.config_only:
            raise Forbidden("cannot create endpoint on configuration-only network")
        if network.status is not Status.READY:
            raise NotFound(f"network {network.name} not found")
        if network.name in container.networks and container.state.running:
            raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")

    async def _record(self, container: Container, network: Network, config: EndpointConfig) -> None:
        """A container that does not run: its wish is noted, a chosen address held."""
        noted = config
        if has_names(network):
            noted = msgspec.structs.replace(config, dns_names=dns_names(container, config))
        await self._save(container, {**container.networks, network.name: noted})
        if former := container.networks.get(network.name):
            self.allot.release_static(container, network, former)
        self.allot.reserve_static(container, network, config)

    async def _save(self, container: Container, networks: dict[str, EndpointConfig]) -> Container:
        updated = msgspec.structs.replace(container, networks=networks)
        await self._core.worker.run(intents=[container_row(updated)])
        self._core.tables.put_container(updated)
        return updated

    async def _join(self, container: Container, network: Network, config: EndpointConfig) -> None:
        await self.fresh_facts([network])
        before = self.endpoints.current(container.id)
        endpoint = self.allot.endpoint(container, network, config, before.values())
        wishing = msgspec.structs.replace(container, networks={**container.networks, network.name: config})
        bare: Set = {}
        rebound = Rebound(())
        try:
            (endpoint,), bare = await self.leased(wishing, [endpoint], before)
            networks = {**container.networks, network.name: self.remembered(config, endpoint)}
            joined = msgspec.structs.replace(container, networks=networks)
            together = [*before.values(), endpoint]
            rebound = await self._rebound(joined, together)
            after = self.settled(joined, together, rebound.ports)
            stands = await self._changeover.run(container, joined, bare or before, after, told=before)
        except BaseException:
            if bare:
                await self.endpoints.remove([bare[network.id]])
            self.allot.release(endpoint, config, keep_static=False)
            await self._rebinding.let_go(container, rebound.new)
            raise
        self.leases.keep(stands[network.id])
        self._core.tables.put_container(joined)
        await self._rebinding.let_go(container, rebound.gone)
        if not any(e.ports for e in stands.values()):  # the way out leads elsewhere now
            await self._rebinding.let_go(container, self.publishing.bound(container.id))
        self.announcing.new([stands[network.id]])

    async def leased(
        self, container: Container, made: list[Endpoint], before: Set | None = None
    ) -> tuple[list[Endpoint], Set]:
        """With addresses for those that have them from a DHCP server; and what stands meanwhile, where there are such.

        Their interfaces are brought up for it. On failure none of it stands.
        """
        networks = self._core.tables.networks
        waiting = [e for e in made if leased(networks[e.network], e)]
        if not waiting:
            return made, {}
        bare = await self.endpoints.bring_up(before or {}, waiting)
        self._core.at("asking")
        asked = [self.leases.obtain(container, e) for e in waiting]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        self._core.at("leased")
        found = {e.id: e for e in answers if isinstance(e, Endpoint)}
        if failures := [e for e in answers if isinstance(e, BaseException)]:
            for endpoint in found.values():
                self.leases.give_back(endpoint)
            await self.endpoints.remove([bare[e.network] for e in waiting])
            raise failures[0]
        return [found.get(e.id, e) for e in made], bare

    def resume_leases(self, living: Iterable[Endpoint]) -> None:
        """At the daemon's start."""
        for endpoint in living:
            if by_dhcp(self._core.tables.networks[endpoint.network]):
                self.leases.resume(endpoint)

    async def _alter(self, container: Container, endpoint: Endpoint) -> None:
        """Another address or other terms for an endpoint that stands. The lane is held by the caller."""
        before = self.endpoints.current(container.id)
        name = self._core.tables.networks[endpoint.network].name
        networks = {**container.networks, name: self.remembered(container.networks[name], endpoint)}
        latter = msgspec.structs.replace(container, networks=networks)
        after = self.settled(latter, list({**before, endpoint.network: endpoint}.values()))
        await self._changeover.run(container, latter, before, after)
        self._core.tables.put_container(latter)
        if endpoint.ipv4 != before[endpoint.network].ipv4:
            self.announcing.new([after[endpoint.network]])

    async def _leave(self, container: Container, network: Network) -> None:
        config = container.networks[network.name]
        networks = {name: c for name, c in container.networks.items() if name != network.name}
        before = self.endpoints.current(container.id)
        endpoint = before.get(network.id)
        if endpoint is None:
            await self._save(container, networks)
            self.allot.release_static(container, network, config)
            return
        left = msgspec.structs.replace(container, networks=networks)
        rest = [e for e in before.values() if e.id != endpoint.id]
        rebound = Rebound(())
        try:
            rebound = await self._rebinding.or_none(left, self._rebound(left, rest))
            after = self.settled(left, rest, rebound.ports)
            await self._changeover.run(container, left, before, after)
        except BaseException:
            await self._rebinding.let_go(container, rebound.new)
            raise
        self._core.tables.put_container(left)
        await self._rebinding.let_go(container, rebound.gone)
        self.allot.release(endpoint, config, keep_static=False)
        if not any(e.ports for e in after.values()):
            await self._rebinding.let_go(container, self.publishing.bound(container.id))

    async def fresh_facts(self, networks: Iterable[Network]) -> None:
        """Who stands on an interface of the host must know whether it is there now."""
        core = self._core
        if any(on_lan(n) or n.adopted for n in networks) and core.stale():
            core.facts = await core.worker.call(lambda kernel, _: kernel.facts())

    async def publish(self, container: Container, endpoints: list[Endpoint]) -> None:
        """Hold the ports that a container asks for, as soon as it has a way out. Raises Failed in Docker's words."""
        asked = container.host_config.port_bindings or container.host_config.publish_all_ports
        if not asked or container.host_config.network_mode.startswith(UNPUBLISHED_MODES):
            return
        owner, options = self._owner(container, endpoints)
        if owner is None:
            return
        with _by_the_driver(container, owner):
            await self.publishing.publish(container, owner, options)

    async def _rebound(self, container: Container, endpoints: list[Endpoint]) -> Rebound:
        """What becomes of its ports, of which it may have had none. Raises Failed in Docker's words."""
        if not self.publishing.bound(container.id):
            await self.publish(container, endpoints)
            ports = self.publishing.bound(container.id)
            return Rebound(ports, ports)
        owner, options = self._owner(container, endpoints)
        with _by_the_driver(container, owner):
            return await self._rebinding.prepare(container, owner, options)

    def _owner(self, container: Container, endpoints: list[Endpoint]) -> tuple[Endpoint | None, Mapping[str, str]]:
        """The endpoint whose ports they are, and its network's options; None while there is none with a way out."""
        outward = [e for e in self.settled(container, endpoints).values() if e.default4 or e.default6]
        owner = next((e for e in outward if e.default4), outward[0] if outward else None)
        if owner is None or on_lan(network := self._core.tables.networks[owner.network]):
            return None, {}
        return owner, network.options

    def settled(
        self, container: Container, endpoints: list[Endpoint], ports: tuple[PortBinding, ...] | None = None
    ) -> dict[str, Endpoint]:
        """Default routes and ports in place, by network id; `ports` where they are to be others than those it has."""
        tables = self._core.tables
        priorities = {
            e.network: config.gw_priority
            for e in endpoints
            if (config := container.networks.get(tables.networks[e.network].name)) is not None
        }
        if ports is None:
            ports = self.publishing.bound(container.id)
        return {e.network: e for e in settle(endpoints, tables.networks, priorities, ports)}

    def remembered(self, config: EndpointConfig, endpoint: Endpoint) -> EndpointConfig:
        """What inspect goes on telling when the container has stopped."""
        leased = endpoint.ipv4.partition("/")[0] if endpoint.lease else config.leased
        return msgspec.structs.replace(
            config, network_id=endpoint.network, dns_names=endpoint.dns_names or None, leased=leased
        )


@contextmanager
def _by_the_driver(container: Container, owner: Endpoint | None) -> Iterator[None]:
    """Docker's words before those of a port that cannot be had."""
    try:
        yield
    except Failed as error:
        raise Failed(
            f"driver failed programming external connectivity on endpoint {container.name}"
            f" ({owner.id if owner else ''}): {error.sentence}",
            remedy=error.remedy,
        ) from error


@contextmanager
def _while_it_runs(container: Container) -> Iterator[None]:
    """Its end comes when it likes."""
    try:
        yield
    except ProcessLookupError as error:
        raise Conflict(f"container {container.id} is not running") from error


def subnets_of(network: Network) -> Sequence[IpamConfig] | None:
    """Those in which an address that is asked for must lie; None where a DHCP server decides."""
    if by_dhcp(network) and not network.requested:
        return None
    return [pool for pool in network.requested if (network.ipv6 if ":" in pool.subnet else network.ipv4)]


def refuse_mixture(mode: str, drivers: Sequence[str]) -> None:
    """The networks of one container: that of the host, and none, go with no other. Raises InvalidArgument."""
    if len(drivers) < 2:
        return
    if "host" in drivers:
        raise InvalidArgument(SHARED_IS_ALONE if mode == "host" else HOST_MODE_ONLY)
    if "null" in drivers:
        raise InvalidArgument(NONE_IS_ALONE)


def _refuse_dead(container: Container) -> None:
    """A container that is being removed takes no new networks."""
    if container.state.status in ("removing", "dead"):
        raise Conflict(
            f"container {container.id} is marked for removal and cannot be connected or disconnected to the network"
        )
