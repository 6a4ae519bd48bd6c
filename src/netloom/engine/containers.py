"""Containers as users handle them: create, start, stop, kill, rename, remove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from netloom.containers.merging import merged
from netloom.containers.mounts import Wanted
from netloom.containers.resources import SWAP, SWAP_WARNING, without_swap
from netloom.containers.validate import check_name, check_request
from netloom.drivers.endpoint_options import endpoint_faults
from netloom.drivers.parents import on_lan
from netloom.engine.attaching import Attaching, subnets_of
from netloom.engine.core import Core
from netloom.engine.ending import Ending
from netloom.engine.joining import resolved
from netloom.engine.linking import check_linked
from netloom.engine.mounting import Mounting
from netloom.engine.names import dns_names, has_names
from netloom.engine.removal import Follow, Removal, follow_nothing
from netloom.engine.signal_numbers import signal_number
from netloom.engine.starting import Starting, told_as
from netloom.engine.stopping import Stopping
from netloom.engine.tables import Row, container_row, endpoint_row, gone
from netloom.engine.waits import Waits
from netloom.firewall.ports import check_ports
from netloom.ipam.endpoint import check_endpoint
from netloom.model.container import Container, ContainerRequest
from netloom.model.endpoint import EndpointConfig
from netloom.model.errors import Conflict, Failed, InvalidArgument, NetloomError, NotFound, NotModified
from netloom.model.host_config import HostConfig
from netloom.model.network import PREDEFINED, Network
from netloom.model.port_keys import gathered
from netloom.policy import labels

STOP_TIMEOUT = 10  # seconds, Docker's default
_KILL_PATIENCE = 10  # seconds until SIGKILL must have worked


class Containers:
    """Each operation on one container takes its turn in the container's lane."""

    def __init__(
        self,
        core: Core,
        attaching: Attaching,
        mounting: Mounting,
        starting: Starting,
        stopping: Stopping,
        ending: Ending,
        removal: Removal,
        waits: Waits,
    ) -> None:
        self._core = core
        self._attaching = attaching
        self._mounting = mounting
        self._starting = starting
        self._stopping = stopping
        self._ending = ending
        self._removal = removal
        self._waits = waits
        self.follow: Follow = follow_nothing
        ending.auto_remove = removal.finish

    async def create(self, request: ContainerRequest) -> tuple[str, list[str]]:
        """Record a container. Nothing stands in the kernel before its start."""
        core = self._core
        key = core.new_id()
        name = request.name.removeprefix("/") or f"netloom_{key[:8]}"
        check_name(name)
        image = core.images.resolve(request.config.image)
        request, warnings = check_request(request, cpus=core.settings.cpus)
        if request.host_config.memory and SWAP not in core.runtime.controllers:
            request.host_config = without_swap(request.host_config)
            warnings.append(SWAP_WARNING)
        request.config = merged(request.config, image.config)
        labels.entries(key, name, request.config.labels)
        check_ports(request.config, request.host_config)
        request.host_config = resolved(core.tables, request.host_config)
        mounts = await self._mounting.resolve(request)
        mode = self._mode(request.host_config.network_mode)
        # On a user-defined network a link is a name in the endpoint's wish, and its bearer may come later.
        links = request.host_config.links if mode in PREDEFINED else None
        check_linked(core.tables, links or ())
        networks = self._networks(mode, request)
        warnings += self._discarded(request.host_config, networks)
        taken = core.tables.container_named(name)
        if taken is not None:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{taken.id}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
        config = request.config
        container = Container(
            id=key,
            name=name,
            created=core.clock.now(),
            image_id=image.id,
            config=msgspec.structs.replace(config, hostname=self._hostname(config.hostname, key, mode)),
            host_config=msgspec.structs.replace(request.host_config, network_mode=mode, links=links),
            networks=networks,
            mounts=tuple(one.point for one in mounts),
        )
        container = gathered(container)
        core.tables.put_container(container)
        if labels.carries(container.config.labels):
            await self.follow(container, lambda: None)
        async with core.lanes.hold(key):  # its name is known by now: who wants to start it, waits
            await self._recorded(container, mounts)
        core.publish_container("create", container)
        return key, warnings

    async def _recorded(self, container: Container, mounts: Sequence[Wanted]) -> None:
        """Addresses held, on disk, its volumes made; or forgotten."""
        core, allot = self._core, self._attaching.allot
        known = [(n, c) for name, c in container.networks.items() if (n := core.tables.network_named(name))]
        for network, config in known:
            allot.reserve_static(container, network, config)
        try:
            await core.worker.run(intents=[container_row(container)])
            core.at("recorded")
            try:
                await self._mounting.make(mounts)
            except BaseException:
                await core.worker.run(statuses=[gone("containers", container.id)])
                raise
        except BaseException:
            for network, config in known:
                allot.release_static(container, network, config)
            await self.follow(container, partial(core.tables.drop_container, container))
            raise

    async def start(self, ref: str) -> None:
        """Raises NotModified when it runs already."""
        container = self._core.tables.container(ref)
        async with self._core.lanes.hold(container.id):
            await self._start(self._still(container, ref))

    async def stop(self, ref: str, *, timeout: int | None, signal: str) -> None:
        """Ask it to end, then make it; raises NotModified when it does not run."""
        container = self._core.tables.container(ref)
        if not (container.state.running or container.state.restarting):
            raise NotModified(f"container {container.name} is not running")
        try:
            await self._stopping.stop(container, timeout, signal)
        except NetloomError as error:
            raise told_as(f"cannot stop container: {ref}: ", error) from error

    async def restart(self, ref: str, *, timeout: int | None, signal: str) -> None:
        """Stop it where it runs, then start it."""
        core = self._core
        container = core.tables.container(ref)
        core.kept.add(container.id)
        try:
            if container.state.running or container.state.restarting:
                await self._stopping.stop(container, timeout, signal)
            async with core.lanes.hold(container.id):
                now = self._still(container, ref)
                if not now.state.running:  # else somebody else has started it
                    await self._start(now)
        except NetloomError as error:
            raise told_as(f"Cannot restart container {ref}: ", error) from error
        finally:
            core.kept.discard(container.id)
        core.publish_container("restart", core.tables.containers[container.id])

    async def kill(self, ref: str, signal: str) -> None:
        """Send a signal; SIGKILL returns when the container has ended."""
        container = self._core.tables.container(ref)
        number = signal_number(signal or "KILL")
        if not (container.state.running or container.state.restarting):
            raise Conflict(f"cannot kill container: {ref}: container {container.id} is not running")
        try:
            await self._stopping.kill(container, number)
        except Failed as error:
            raise told_as(f"cannot kill container: {ref}: ", error) from error

    async def rename(self, ref: str, name: str) -> None:
        """Give it another name; DNS follows."""
        core = self._core
        container = core.tables.container(ref)
        name = name.removeprefix("/")
        if not name:
            raise InvalidArgument("Neither old nor new names may be empty")
        try:
            check_name(name)
        except InvalidArgument as error:
            told = error.sentence.replace(f"({name})", f"(/{name})", 1)
            raise InvalidArgument(f"Error when allocating new name: {told}") from error
        async with core.lanes.hold(container.id):
            container = self._still(container, ref)
            self._free(container, name)
            await self._renamed(container, name)

    async def remove(self, ref: str, *, force: bool, volumes: bool = False) -> None:
        """Remove it with all that it left; a running one only by force."""
        await self._removal.remove(ref, force=force, volumes=volumes)

    def _still(self, container: Container, ref: str) -> Container:
        """The container as it is now that it is our turn."""
        now = self._core.tables.containers.get(container.id)
        if now is None:
            raise NotFound(f"No such container: {ref}")
        return now

    async def _start(self, container: Container) -> None:
        if container.state.paused:
            raise Conflict("cannot start a paused container, try unpause instead")
        if container.state.running or container.state.restarting:
            raise NotModified(f"container {container.name} is running")
        if container.state.status in ("removing", "dead"):
            raise Conflict("container is marked for removal and cannot be started")
        try:
            await self._starting.start(msgspec.structs.replace(container, restart_count=0, backoff=0))
        except Exception:
            failed = self._core.tables.containers[container.id]
            self._waits.exited(container.id, failed.state.exit_code, failed.state.error)
            if container.host_config.auto_remove:
                await self._removal.take(failed)
            raise

    def _free(self, container: Container, name: str) -> None:
        taken = self._core.tables.container_named(name)
        if taken is container or (taken is not None and taken.id == container.id):
            raise InvalidArgument("Renaming a container with the same name as its current name")
        if taken is not None:
            raise Conflict(
                f'Error when allocating new name: Conflict. The container name "/{name}" is already in use by '
                f'container "{taken.id}". You have to remove (or rename) that container to be able to reuse that name.'
            )

    async def _renamed(self, container: Container, name: str) -> None:
        core = self._core
        renamed = msgspec.structs.replace(container, name=name)
        networks = {}
        for key, config in container.networks.items():
            told = dns_names(renamed, config) if config.dns_names is not None else None
            networks[key] = msgspec.structs.replace(config, dns_names=told)
        renamed = msgspec.structs.replace(renamed, networks=networks)
        endpoints = [
            msgspec.structs.replace(e, dns_names=dns_names(renamed, networks[core.tables.networks[e.network].name]))
            for e in core.tables.endpoints_of(container.id)
            if has_names(core.tables.networks[e.network])
        ]
        core.tables.claim_name(name, container)  # before anything is awaited, so that nobody else takes it
        rows: list[Row] = [container_row(renamed), *(endpoint_row(e) for e in endpoints)]
        try:
            await core.worker.run(intents=rows)
        except BaseException:
            core.tables.yield_name(name, container)
            raise
        await self.follow(renamed, partial(core.tables.put_container, renamed))
        for endpoint in endpoints:
            core.tables.put_endpoint(endpoint)
        try:
            await self._attaching.names.put(endpoints)
        except Exception as error:  # it has its name all the same
            core.complain(f"the new name of container {name} could not be told", error)
        core.publish_container("rename", renamed, oldName=f"/{container.name}")

    def _mode(self, mode: str) -> str:
        """`default` is bridge; `container:REF` names a container by id from now on."""
        if mode in ("", "default"):
            return "bridge"
        kind, _, ref = mode.partition(":")
        if kind == "container":
            try:
                return f"container:{self._core.tables.container(ref).id}"
            except NotFound:
                return mode  # told at start, as Docker does
        return mode

    def _networks(self, mode: str, request: ContainerRequest) -> dict[str, EndpointConfig]:
        """The networks to attach at start; what cannot work there is refused now."""
        if mode.startswith("container:"):
            for name, config in request.networks.items():
                self._check_wish(name, config)
            return {}
        asked = {self._network_name(name): c for name, c in request.networks.items()}
        networks = {(main := self._network_name(mode)): asked.pop(main, EndpointConfig())}
        networks.update(asked)
        if len(networks) > 1 and request.api_version < (1, 44):
            names = ", ".join(sorted(networks))
            raise InvalidArgument(f"Container cannot be created with multiple network endpoints: {names}")
        for name, config in networks.items():
            self._check_wish(name, config)
        return networks

    def _network_name(self, ref: str) -> str:
        """Of a network by name, id or the beginning of one; what nobody knows stays, and is told at start."""
        try:
            return self._core.tables.network("bridge" if ref == "default" else ref).name
        except NetloomError:
            return ref

    def _check_wish(self, name: str, config: EndpointConfig) -> None:
        try:
            network: Network | None = self._core.tables.network(name)
        except NotFound:
            network = None  # told at start, as Docker does
        try:
            check_endpoint(
                config,
                network.name if network else name,
                subnets_of(network) if network else None,
                endpoint_faults(config.driver_opts or {}, network.driver if network else "bridge"),
            )
        except InvalidArgument as error:
            raise InvalidArgument(
                f"invalid config for network {name}: {error.sentence}", remedy=error.remedy
            ) from error

    def _discarded(self, host_config: HostConfig, networks: Iterable[str]) -> list[str]:
        """Where all networks are of LANs nothing is published: a warning, or InvalidArgument for ipvlan."""
        known = [n for name in networks if (n := self._core.tables.network_named(name)) is not None]
        asked = host_config.port_bindings or host_config.publish_all_ports
        if not asked or not known or not all(map(on_lan, known)):
            return []
        name, reached = known[0].name, "its containers are reached by their own addresses"
        if known[0].driver == "ipvlan":
            raise InvalidArgument(
                f"conflicting options: port publishing and the ipvlan network {name}", remedy=f"{reached}, without -p"
            )
        return [f"Published ports are discarded on the {known[0].driver} network {name}: {reached}"]

    def _hostname(self, asked: str, key: str, mode: str) -> str:
        if asked:
            return asked
        if mode == "host":
            return self._core.settings.name
        if mode.startswith("container:"):
            target = self._core.tables.containers.get(mode.removeprefix("container:"))
            return target.config.hostname if target else ""
        return key[:12]
