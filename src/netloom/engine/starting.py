"""From created to running: namespace, networks, files, processes; and the whole way back when one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from netloom.containers.lifecycle import start_failed, started
from netloom.engine.attaching import Attaching
from netloom.engine.core import Core, opened
from netloom.engine.ending import Ending
from netloom.engine.linking import check_reachable
from netloom.engine.ports import Launched, Namespace
from netloom.engine.sandbox_files import SandboxFiles
from netloom.engine.specs import launch
from netloom.engine.streams import Waiting
from netloom.engine.tables import container_row
from netloom.model.container import Container, State
from netloom.model.endpoint import Endpoint
from netloom.model.errors import Conflict, Failed, NetloomError, NotFound

SETUP_FAILED = "failed to set up container networking: "


class Starting:
    """`docker start`. The container's lane is held by the caller."""

    def __init__(self, core: Core, attaching: Attaching, files: SandboxFiles, waiting: Waiting, ending: Ending) -> None:
        self._core = core
        self._attaching = attaching
        self._files = files
        self._waiting = waiting
        self._ending = ending

    async def start(self, container: Container) -> Container:
        """Start it; the container as it runs. On failure its state tells the error and nothing else is left."""
        core = self._core
        sandbox = core.new_id()
        former = container.state
        container = msgspec.structs.replace(
            container, sandbox=sandbox, state=msgspec.structs.replace(container.state, error="", exit_code=0)
        )
        core.tables.put_container(container)
        try:
            check_reachable(core.tables, container)
            namespace = await self._namespace(container)
            core.sandboxes[sandbox] = namespace
            core.at("namespace")
            container = await self._networked(container)
            core.at("networked")
            launched = await self._processes(container, namespace)
            core.at("created")
            container = await self._run(container, launched)
        except BaseException as error:
            await self._undo(core.tables.containers[container.id], former, error)
            raise
        self._attaching.announce(list(core.tables.endpoints_of(container.id)))
        core.publish_container("start", container)
        return container

    async def _namespace(self, container: Container) -> Namespace:
        mode = container.host_config.network_mode
        if mode == "host":
            return self._core.make_namespace.host()
        if mode.startswith("container:"):
            return self._shared(mode.removeprefix("container:"))
        fd = await self._core.worker.call(lambda kernel, _: kernel.new_namespace())
        return self._core.make_namespace.from_fd(fd)

    def _shared(self, ref: str) -> Namespace:
        try:
            target = self._core.tables.container(ref)
        except NotFound as error:
            raise Failed(f"joining network namespace of container: {error.sentence}") from error
        if not target.state.running:
            raise Conflict(
                "cannot join network namespace of a non running container:"
                f" container {target.name} is {target.state.status}"
            )
        return self._core.make_namespace.from_process(target.state.pid)

    async def _networked(self, container: Container) -> Container:
        """Endpoints allotted, ports held, files written, everything in the kernel."""
        core = self._core
        attaching = self._attaching
        made: list[Endpoint] = []
        try:
            for network, config in self._ordered(container):
                made.append(attaching.allot.endpoint(container, network, config, made))
            await self._publish(container, made)
        except NetloomError as error:
            self._release(container, made)
            raise told_as(SETUP_FAILED, error) from error
        except BaseException:
            self._release(container, made)
            raise
        networks = dict(container.networks)
        for endpoint in made:
            name = core.tables.networks[endpoint.network].name
            networks[name] = attaching.remembered(networks[name], endpoint)
        container = msgspec.structs.replace(container, networks=networks)
        try:
            after = attaching.settled(container, made)
            self._files.write(container, list(after.values()))
            await attaching.endpoints.move({}, after)
        except NetloomError as error:
            self._release(container, made)
            raise told_as(SETUP_FAILED, error) from error
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
        for name in sorted(container.networks, key=lambda n: (n != mode, n)):
            yield self._core.tables.network(name), container.networks[name]

    async def _publish(self, container: Container, endpoints: list[Endpoint]) -> None:
        core = self._core
        if container.host_config.network_mode.startswith(("host", "none", "container:")):
            return
        outward = [e for e in self._attaching.settled(container, endpoints).values() if e.default4 or e.default6]
        if outward:
            owner = next((e for e in outward if e.default4), outward[0])
            try:
                options = core.tables.networks[owner.network].options
                await self._attaching.publishing.publish(container, owner, options)
            except Failed as error:
                raise Failed(
                    f"driver failed programming external connectivity on endpoint {container.name}"
                    f" ({owner.id}): {error.sentence}",
                    remedy=error.remedy,
                ) from error

    def _release(self, container: Container, endpoints: Iterable[Endpoint]) -> None:
        for endpoint in endpoints:
            config = container.networks.get(self._core.tables.networks[endpoint.network].name)
            self._attaching.allot.release(endpoint, config, keep_static=True)

    async def _processes(self, container: Container, namespace: Namespace) -> Launched:
        """The container created under conmon, its program not yet started."""
        core = self._core
        image = core.images.resolve(container.config.image)
        files = self._files.paths(container)
        if container.host_config.network_mode == "host":
            return await core.runtime.create(launch(container, image, files, -1))
        with opened(namespace) as fd:
            return await core.runtime.create(launch(container, image, files, fd))

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
        core.tables.put_container(container)
        core.runtime.watch(container.id, launched, self._ending.ended)
        core.worker.post(lambda _, rows: rows.commit([container_row(container)], durable=False))
        return container

    async def _hold_by_process(self, container: Container) -> None:
        """From here on the namespace lives as long as its process: our fd would keep it beyond."""
        core = self._core
        old = core.sandboxes[container.sandbox]
        new = core.make_namespace.from_process(container.state.pid)
        core.sandboxes[container.sandbox] = new
        old.close()
        endpoints = list(core.tables.endpoints_of(container.id))
        await self._attaching.names.put(endpoints)
        await self._attaching.names.serve(container, endpoints, self._files.upstreams(container))

    async def _undo(self, container: Container, former: State, error: BaseException) -> None:
        """Everything back; the state remembers why."""
        for pending in self._waiting.take(container.id):
            pending.give_up()
        await self._ending.dismantle(container)
        message = error.sentence if isinstance(error, NetloomError) else repr(error)
        failed = msgspec.structs.replace(container, sandbox="", state=start_failed(former, message))
        self._core.tables.put_container(failed)
        await asyncio.shield(self._core.worker.run(statuses=[container_row(failed)]))


def told_as(prefix: str, error: NetloomError) -> NetloomError:
    """The same kind of failure, its sentence after a prefix, as Docker tells it."""
    told = error.__class__.__new__(error.__class__)
    NetloomError.__init__(told, prefix + error.sentence, remedy=error.remedy)
    return told
