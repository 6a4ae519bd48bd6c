"""From created to running: namespace, networks, files, processes; and the whole way back when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from netloom.containers.lifecycle import start_failed, started
from netloom.drivers.device import lends
from netloom.engine.attaching import Attaching, refuse_mixture
from netloom.engine.core import Core, opened
from netloom.engine.ending import Ending
from netloom.engine.joining import check_joinable
from netloom.engine.linking import check_reachable, linked_environment
from netloom.engine.mounting import Mounting
from netloom.engine.ports import Launched, Namespace
from netloom.engine.sandbox_files import SandboxFiles
from netloom.engine.specs import launch
from netloom.engine.streams import PendingAttachment, Waiting
from netloom.engine.tables import container_row
from netloom.model.container import Container
from netloom.model.endpoint import Endpoint
from netloom.model.errors import Conflict, Failed, NetloomError, NotFound

SETUP_FAILED = "failed to set up container networking: "


class Starting:
    """`docker start`. The container's lane is held by the caller."""

    def __init__(
        self,
        core: Core,
        attaching: Attaching,
        mounting: Mounting,
        files: SandboxFiles,
        waiting: Waiting,
        ending: Ending,
    ) -> None:
        self._core = core
        self._attaching = attaching
        self._mounting = mounting
        self._files = files
        self._waiting = waiting
        self._ending = ending
        self.began: Callable[[Container], None] | None = None  # told of every program that runs

    async def start(self, container: Container) -> Container:
        """Start it; the container as it runs. On failure its state tells the error and nothing else is left."""
        core = self._core
        sandbox = core.new_id()
        former = container
        core.by_hand.discard(container.id)
        container = msgspec.structs.replace(
            container, sandbox=sandbox, state=msgspec.structs.replace(container.state, error="", exit_code=0)
        )
        core.tables.put_container(container)
        try:
            check_reachable(core.tables, container)
            check_joinable(core.tables, container)
            namespace = await self._namespace(container)
            core.sandboxes[sandbox] = namespace
            core.at("namespace")
            container = await self._networked(container)
            core.at("networked")
            launched = await self._processes(container, namespace)
            core.at("created")
            container = await self._run(container, launched)
        except ProcessLookupError as error:
            told = Failed(f"container {container.name} ended before its program was started", remedy=str(error))
            await self._undo(former, told)
            raise told from error
        except BaseException as error:
            await self._undo(former, error)
            raise
        self._mounting.mounted(container)
        standing = list(core.tables.endpoints_of(container.id))
        self._attaching.announcing.new(standing)
        for endpoint in standing:
            self._attaching.leases.keep(endpoint)
        core.publish_container("start", container)
        return container

    async def _namespace(self, container: Container) -> Namespace:
        mode = container.host_config.network_mode
        if mode == "host":
            return self._core.make_namespace.host()
        if mode.startswith("container:"):
            return self._shared(container, mode.removeprefix("container:"))
        fd = await self._core.worker.call(lambda kernel, _: kernel.new_namespace())
        return self._core.make_namespace.from_fd(fd)

    def _shared(self, container: Container, ref: str) -> Namespace:
        try:
            target = self._core.tables.container(ref)
        except NotFound as error:
            raise Failed(f"joining network namespace of container: {error.sentence}") from error
        if target.id == container.id:
            raise Failed("cannot join own network namespace")
        if not target.state.running:
            raise Conflict(
                "cannot join network namespace of a non running container:"
                f" container {target.name} is {target.state.status}"
            )
        try:
            return self._core.make_namespace.from_process(target.state.pid)
        except ProcessLookupError as error:
            raise Conflict(
                f"cannot join network namespace of a non running container: container {target.name} has just ended"
            ) from error

    async def _networked(self, container: Container) -> Container:
        """Endpoints allotted, ports held, files written, everything in the kernel."""
        core = self._core
        attaching = self._attaching
        made: list[Endpoint] = []
        try:
            await attaching.fresh_facts([network for network, _ in self._ordered(container)])
            for network, config in self._ordered(container):
                made.append(attaching.allot.endpoint(container, network, config, made))
            made, bare = await attaching.leased(container, made)
            await attaching.publish(container, made)
            networks = dict(container.networks)
            for endpoint in made:
                name = core.tables.networks[endpoint.network].name
                networks[name] = attaching.remembered(networks[name], endpoint)
            container = msgspec.structs.replace(container, networks=networks)
            after = attaching.settled(container, made)
            self._files.write(container, list(after.values()))
            if any(lends(core.tables.networks[key]) for key in after):
                # Should this daemon die before a process holds the sandbox, the data plane does.
                upstreams = self._files.upstreams(container, after.values())
                await attaching.names.serve(container, after.values(), upstreams)
            await attaching.endpoints.move(bare, after)
        except BaseException as error:
            self._release(container, made)
            if isinstance(error, NetloomError):
                raise told_as(SETUP_FAILED, error) from error
            raise
        core.tables.put_container(container)
        for endpoint in made:
            network = core.tables.networks[endpoint.network]
            core.publish(
                "network", "connect", network.id, container=container.id, name=network.name, type=network.driver
            )
        return container

    def _ordered(self, container: Container) -> Iterable[tuple]:  # type: ignore[type-arg]
        """(network, config): the one of the network mode first, since it gets eth0; the others by name."""
        mode = container.host_config.network_mode
        found = {name: self._core.tables.network(name) for name in sorted(container.networks)}
        main = mode if mode in found else next((n for n, one in found.items() if one.id.startswith(mode)), "")
        names = sorted(found, key=lambda n: (n != main, n))
        networks = [found[name] for name in names]
        refuse_mixture(mode, [network.driver for network in networks])
        for network, name in zip(networks, names, strict=True):
            yield network, container.networks[name]

    def _release(self, container: Container, endpoints: Iterable[Endpoint]) -> None:
        for endpoint in endpoints:
            config = container.networks.get(self._core.tables.networks[endpoint.network].name)
            self._attaching.allot.release(endpoint, config, keep_static=True)

    async def _processes(self, container: Container, namespace: Namespace) -> Launched:
        """The container created under conmon, its program not yet started."""
        core = self._core
        if container.id in core.unswept:
            await core.runtime.delete(container.id)
            core.unswept.discard(container.id)
        image = core.images.by_id(container.image_id)
        files = self._files.paths(container)
        volumes = await self._mounting.ready(container)
        if container.host_config.network_mode == "host":
            return await core.runtime.create(launch(container, image, files, -1, volumes))
        links = linked_environment(core.tables, container)
        with opened(namespace) as fd:
            return await core.runtime.create(launch(container, image, files, fd, volumes, links))

    async def _run(self, container: Container, launched: Launched) -> Container:
        core = self._core
        state = started(container.state, launched.pid, launched.conmon_pid, core.clock.now())
        container = msgspec.structs.replace(container, state=state, manually_stopped=False)
        await self._hold_by_process(container)
        await core.worker.run(statuses=[container_row(container)])
        attached = [(p, await core.runtime.attach(container.id)) for p in self._waiting.take(container.id)]
        for pending, real in attached:
            pending.connect(real)
        core.at("attached")
        await core.runtime.start(container.id)
        core.at("started")
        container = msgspec.structs.replace(container, state=msgspec.structs.replace(state, started=core.clock.now()))
        # Awaited: one that merely follows could overtake, or be overtaken by, the row of the next operation.
        await core.worker.run(statuses=[container_row(container)])
        core.tables.put_container(container)
        core.runtime.watch(container.id, launched, self._ending.ended)
        for late in self._waiting.take(container.id):
            await self._connect(late, container)
        if self.began is not None:
            self.began(container)
        return container

    async def _connect(self, late: PendingAttachment, container: Container) -> None:
        """A client that attached while the program was being started."""
        try:
            late.connect(await self._core.runtime.attach(container.id))
        except NetloomError:
            late.give_up()  # it has ended by now

    async def _hold_by_process(self, container: Container) -> None:
        """From here on the namespace lives as long as its process: our fd would keep it beyond."""
        core = self._core
        old = core.sandboxes[container.sandbox]
        new = core.make_namespace.from_process(container.state.pid)
        core.sandboxes[container.sandbox] = new
        old.close()
        endpoints = list(core.tables.endpoints_of(container.id))
        await self._attaching.names.put(endpoints)
        await self._attaching.names.serve(container, endpoints, self._files.upstreams(container, endpoints))

    async def _undo(self, former: Container, error: BaseException) -> None:
        """Everything back; the state remembers why."""
        core = self._core
        for pending in self._waiting.take(former.id):
            pending.give_up()
        await self._ending.dismantle(core.tables.containers[former.id])
        message = error.sentence if isinstance(error, NetloomError) else str(error) or repr(error)
        failed = msgspec.structs.replace(former, sandbox="", state=start_failed(former.state, message))
        core.tables.put_container(failed)
        try:
            await core.worker.run(statuses=[container_row(failed)])
        except Exception as unwritten:
            core.complain("a failed start could not be written down", unwritten)

    def abandon(self, container: str) -> None:
        """It is removed: whoever waits for its start sees the end."""
        for pending in self._waiting.take(container):
            pending.give_up()


def told_as(prefix: str, error: NetloomError) -> NetloomError:
    """The same kind of failure, its sentence after a prefix, as Docker tells it."""
    told = error.__class__.__new__(error.__class__)
    NetloomError.__init__(told, prefix + error.sentence, remedy=error.remedy)
    return told
