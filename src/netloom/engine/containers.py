"""Containers as users handle them: create, start, stop, kill, rename, remove."""

from __future__ import annotations

import asyncio
import signal as signals

import msgspec

from netloom.containers.validate import check_name, check_request
from netloom.engine.attaching import Attaching
from netloom.engine.core import Core
from netloom.engine.ending import Ending
from netloom.engine.linking import check_linked
from netloom.engine.names import dns_names, has_names
from netloom.engine.signal_numbers import signal_number
from netloom.engine.starting import Starting, told_as
from netloom.engine.tables import Row, container_row, endpoint_row, gone
from netloom.engine.waits import Waits
from netloom.firewall.ports import check_ports
from netloom.ipam.endpoint import check_endpoint
from netloom.model.container import Container, ContainerRequest
from netloom.model.endpoint import EndpointConfig
from netloom.model.errors import Conflict, InvalidArgument, NetloomError, NotFound, NotModified
from netloom.model.network import Network

STOP_TIMEOUT = 10  # seconds, Docker's default
_KILL_PATIENCE = 10  # seconds until SIGKILL must have worked


class Containers:
    """Each operation on one container takes its turn in the container's lane."""

    def __init__(self, core: Core, attaching: Attaching, starting: Starting, ending: Ending, waits: Waits) -> None:
        self._core = core
        self._attaching = attaching
        self._starting = starting
        self._ending = ending
        self._waits = waits
        ending.auto_remove = self.finish_removal

    async def create(self, request: ContainerRequest) -> tuple[str, list[str]]:
        """Record a container. Nothing stands in the kernel before its start."""
        core = self._core
        key = core.new_id()
        name = request.name.removeprefix("/") or f"netloom_{key[:8]}"
        check_name(name)
        image = core.images.resolve(request.config.image)
        request, warnings = check_request(request, cpus=core.settings.cpus)
        check_ports(request.config, request.host_config)
        check_linked(core.tables, request.host_config.links or ())
        mode = self._mode(request.host_config.network_mode)
        networks = self._networks(mode, request)
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
            host_config=msgspec.structs.replace(request.host_config, network_mode=mode),
            networks=networks,
        )
        core.tables.put_container(container)
        try:
            await core.worker.run(intents=[container_row(container)])
        except BaseException:
            core.tables.drop_container(container)
            raise
        self._reserve(container)
        core.publish_container("create", container)
        return key, warnings

    async def start(self, ref: str) -> None:
        """Raises NotModified when it runs already."""
        container = self._core.tables.container(ref)
        async with self._core.lanes.hold(container.id):
            await self._start(self._still(container, ref))

    async def stop(self, ref: str, *, timeout: int | None, signal: str) -> None:
        """Ask it to end, then make it; raises NotModified when it does not run."""
        container = self._core.tables.container(ref)
        if not container.state.running:
            raise NotModified(f"container {container.name} is not running")
        try:
            await self._stop(container, timeout, signal)
        except InvalidArgument as error:
            raise InvalidArgument(f"cannot stop container: {ref}: {error.sentence}") from error

    async def restart(self, ref: str, *, timeout: int | None, signal: str) -> None:
        """Stop it where it runs, then start it."""
        core = self._core
        container = core.tables.container(ref)
        try:
            if container.state.running:
                await self._stop(container, timeout, signal, keep=True)
            async with core.lanes.hold(container.id):
                await self._start(self._still(container, ref))
        except NetloomError as error:
            raise told_as(f"Cannot restart container {ref}: ", error) from error
        core.publish_container("restart", core.tables.containers[container.id])

    async def kill(self, ref: str, signal: str) -> None:
        """Send a signal; SIGKILL returns when the container has ended."""
        container = self._core.tables.container(ref)
        number = signal_number(signal or "KILL")
        if not container.state.running:
            raise Conflict(f"cannot kill container: {ref}: container {container.id} is not running")
        done = self._waits.begin(container, "next-exit")
        await self._signal(container, number)
        if number == signals.SIGKILL:
            await asyncio.wait([done], timeout=_KILL_PATIENCE)

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

    async def remove(self, ref: str, *, force: bool) -> None:
        """Remove it with all that it left; a running one only by force."""
        core = self._core
        container = core.tables.container(ref)
        if container.state.running:
            if not force:
                raise Conflict(
                    f'cannot remove container "{ref}": container is running: '
                    "stop the container before removing or force remove"
                )
            await self.kill(container.id, "KILL")
        async with core.lanes.hold(container.id):
            container = self._still(container, ref)
            if container.state.running:
                raise Conflict(f'cannot remove container "{ref}": container is running')
            await self._remove(container)

    def _still(self, container: Container, ref: str) -> Container:
        """The container as it is now that it is our turn."""
        now = self._core.tables.containers.get(container.id)
        if now is None:
            raise NotFound(f"No such container: {ref}")
        return now

    async def _start(self, container: Container) -> None:
        if container.state.running:
            raise NotModified(f"container {container.name} is running")
        try:
            await self._starting.start(container)
        except NetloomError:
            failed = self._core.tables.containers[container.id]
            self._waits.exited(container.id, failed.state.exit_code, failed.state.error)
            if container.host_config.auto_remove:
                await self._remove(failed)
            raise

    async def _stop(self, container: Container, timeout: int | None, signal: str, *, keep: bool = False) -> None:
        number = signal_number(signal or container.config.stop_signal or "TERM")
        patience = timeout if timeout is not None else container.config.stop_timeout
        patience = STOP_TIMEOUT if patience is None else patience
        done = self._waits.begin(container, "next-exit")
        self._ending.stopping.add(container.id)
        try:
            await self._signal(container, number)
            await asyncio.wait([done], timeout=None if patience < 0 else patience)
            if not done.done():
                await self._signal(container, signals.SIGKILL)
                await asyncio.wait([done], timeout=_KILL_PATIENCE)
        finally:
            self._ending.stopping.discard(container.id)

    async def _signal(self, container: Container, number: int) -> None:
        await self._core.runtime.kill(container.id, number)
        self._core.publish_container("kill", container, signal=str(number))

    async def finish_removal(self, key: str) -> None:
        """Remove a container that does not run (`--rm`, or a removal that was cut short); unknown is success."""
        async with self._core.lanes.hold(key):
            container = self._core.tables.containers.get(key)
            if container is not None and not container.state.running:
                await self._remove(container)

    async def _remove(self, container: Container) -> None:
        core = self._core
        removing = msgspec.structs.replace(container, state=msgspec.structs.replace(container.state, status="removing"))
        await core.worker.run(intents=[container_row(removing)])
        await core.runtime.delete(container.id)
        await core.runtime.purge(container.id)
        core.at("purged")
        for name, config in container.networks.items():
            network = core.tables.network_named(name)
            if network is not None:
                self._attaching.allot.release_static(container, network, config)
        await core.worker.run(statuses=[gone("containers", container.id)])
        core.tables.drop_container(container)
        core.publish_container("destroy", container)
        self._waits.removed(container)

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
        rows: list[Row] = [container_row(renamed), *(endpoint_row(e) for e in endpoints)]
        await core.worker.run(intents=rows)
        core.tables.put_container(renamed)
        for endpoint in endpoints:
            core.tables.put_endpoint(endpoint)
        await self._attaching.names.put(endpoints)
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
            return {}
        asked = {("bridge" if name == "default" else name): c for name, c in request.networks.items()}
        networks = {mode: asked.pop(mode, EndpointConfig())}
        networks.update(asked)
        if len(networks) > 1 and request.api_version < (1, 44):
            names = ", ".join(sorted(networks))
            raise InvalidArgument(f"Container cannot be created with multiple network endpoints: {names}")
        for name, config in networks.items():
            try:
                network: Network | None = self._core.tables.network(name)
            except NotFound:
                network = None  # told at start, as Docker does
            try:
                check_endpoint(config, network.name if network else name, network.requested if network else None)
            except InvalidArgument as error:
                raise InvalidArgument(
                    f"invalid config for network {name}: {error.sentence}", remedy=error.remedy
                ) from error
        return networks

    def _reserve(self, container: Container) -> None:
        for name, config in container.networks.items():
            network = self._core.tables.network_named(name)
            if network is not None:
                self._attaching.allot.reserve_static(container, network, config)

    def _hostname(self, asked: str, key: str, mode: str) -> str:
        if asked:
            return asked
        if mode == "host":
            return self._core.settings.name
        if mode.startswith("container:"):
            target = self._core.tables.containers.get(mode.removeprefix("container:"))
            return target.config.hostname if target else ""
        return key[:12]
