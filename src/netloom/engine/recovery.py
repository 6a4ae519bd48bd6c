"""Start-up: what the store says, what the kernel holds and who still runs become one truth again."""

from __future__ import annotations

import msgspec

from netloom.containers.lifecycle import paused, resumed, start_failed
from netloom.dhcp.schedule import over
from netloom.drivers.bridge import INDEX_BASE
from netloom.drivers.parents import SHIM_BASE, on_lan
from netloom.engine.attaching import Attaching
from netloom.engine.core import Core
from netloom.engine.ending import Ending
from netloom.engine.forwarding import Forwarding
from netloom.engine.policies import Policies
from netloom.engine.ports import Exit, Launched, Survivor
from netloom.engine.reconciler import Reconciler
from netloom.engine.removal import Removal, forgotten
from netloom.engine.tables import Row, container_row, decode, endpoint_row, gone
from netloom.model.container import Container
from netloom.model.desired import Bridge, Parent, Shim
from netloom.model.endpoint import Endpoint, PortBinding
from netloom.model.errors import KernelError
from netloom.model.network import Network, Status
from netloom.model.port_keys import gathered
from netloom.plan.diff import absent

_UNKNOWN = Exit(code=-1, time_nano=0)
_ATTEMPTS = 3
_TABLES = ("networks", "containers", "endpoints", "policies", "daemon")


class Recovery:
    """Run once, before the first request is served."""

    def __init__(
        self,
        core: Core,
        attaching: Attaching,
        ending: Ending,
        removal: Removal,
        reconciler: Reconciler,
        forwarding: Forwarding,
        policies: Policies,
    ) -> None:
        self._core = core
        self._policies = policies
        self._attaching = attaching
        self._ending = ending
        self._removal = removal
        self._reconciler = reconciler
        self._forwarding = forwarding
        self._never_started: set[str] = set()
        self._half: list[Network] = []  # neither ready nor gone
        self._ports: dict[str, tuple[PortBinding, ...]] = {}  # by container, its endpoint may have been on the way out
        self._mended: list[Row] = []
        self._how: dict[str, Exit] = {}  # how those ended that ended without us

    async def run(self) -> None:
        """Load, adopt the living, bury the dead, make the kernel and the data plane agree."""
        core = self._core
        await core.worker.call(lambda kernel, _: kernel.reclaim())
        core.facts = await core.worker.call(lambda kernel, _: kernel.facts())
        networks, containers, endpoints, policies, daemon = await core.worker.call(
            lambda _, rows: tuple(map(rows.load, _TABLES))
        )
        # An interface that came home from a container keeps the index that it had there, which is of our counting.
        indices = (one.index for one in core.facts.interfaces if one.index < SHIM_BASE)
        core.numbers_used(max(indices, default=0) - INDEX_BASE)
        self._forwarding.restore(daemon.get("forwarding"))
        doomed = self._networks(decode(networks, Network))
        for container in decode(containers, Container):
            core.tables.put_container(known := gathered(container))
            if known != container:  # of an earlier netloom, each port by itself
                self._mended.append(container_row(known))
        doomed += self._endpoints(decode(endpoints, Endpoint))
        self._policies.restore(policies)
        await self._remove_half()
        if doomed:
            await core.worker.run(statuses=doomed)
        survivors = {s.id: s for s in await core.runtime.survivors()}
        ended = [c for c in list(core.tables.containers.values()) if not self._adopt(c, survivors.pop(c.id, None))]
        if self._mended:
            await core.worker.run(statuses=self._mended)
        for stranger in survivors.values():
            await core.runtime.delete(stranger.id)
            await core.runtime.purge(stranger.id)
        await self._forwarding.follow()
        await self._compare()
        await self._reconciler.data_plane()
        for container in ended:
            try:
                await self._end(container)
            except Exception as error:  # one that cannot be buried does not keep the others from being served
                core.complain(f"the end of container {container.name} could not be followed", error)

    async def _compare(self) -> None:
        """A sandbox that ends in the midst of it is left out the next time."""
        for attempt in range(_ATTEMPTS):
            try:
                await self._reconciler.kernel()
                return
            except KernelError:
                if attempt == _ATTEMPTS - 1:
                    raise

    def _networks(self, networks: list[Network]) -> list[Row]:
        """Ready ones stand; the others go on the way they were going: to absent."""
        doomed = []
        for network in sorted(networks, key=lambda n: n.number):
            self._core.numbers_used(network.number)
            if network.status is Status.READY:
                self._core.tables.put_network(network)
                self._core.space.restore_network(network.id, network.name, network.pools)
                if on_lan(network) or network.adopted:
                    self._core.space.keep_off(network.id, self._core.facts.addresses)
            else:
                self._half.append(network)
                doomed.append(gone("networks", network.id))
        return doomed

    async def _remove_half(self) -> None:
        """Networks that were coming or going. A bridge that was just made has no mark yet: only its row tells of it."""
        core = self._core
        for network in self._half:
            desired = core.network_own(network)
            await core.worker.run(steps=absent(desired))
            for what in desired:
                if isinstance(what, (Bridge, Parent, Shim)):
                    await core.links.delete(what.index)

    def _endpoints(self, endpoints: list[Endpoint]) -> list[Row]:
        doomed = []
        tables = self._core.tables
        for endpoint in sorted(map(self._still_leased, endpoints), key=lambda e: e.number):
            self._core.numbers_used(endpoint.number)
            if endpoint.ports:
                self._ports[endpoint.container] = endpoint.ports
            known = endpoint.network in tables.networks and endpoint.container in tables.containers
            if not known or endpoint.status is not Status.READY:
                doomed.append(gone("endpoints", endpoint.id))
                continue
            tables.put_endpoint(endpoint)
            self._attaching.leases.restore(endpoint)
            for address in (endpoint.ipv4, endpoint.ipv6):
                if address and endpoint.lease is None:
                    family = 6 if ":" in address else 4
                    plain = address.partition("/")[0]
                    self._core.space.request(endpoint.network, family, plain, endpoint.container)
        return doomed

    def _still_leased(self, endpoint: Endpoint) -> Endpoint:
        """Without the address whose lease nobody renewed: somebody else may have it by now."""
        if endpoint.lease is None or endpoint.status is not Status.READY:
            return endpoint
        if not over(endpoint.lease, self._core.clock.now()):
            return endpoint
        bare = msgspec.structs.replace(endpoint, ipv4="", gateway4="", lease=None)
        self._mended.append(endpoint_row(bare))
        return bare

    def _adopt(self, container: Container, survivor: Survivor | None) -> bool:
        """Take a living container over. False when it needs an end: it ran, was starting, or was being removed."""
        if container.state.running and self._lives(container, survivor):
            self._mend(container)
            self._hold(container)
            return True
        core = self._core
        for name, config in container.networks.items():
            network = core.tables.network_named(name)
            if network is not None:
                self._attaching.allot.reserve_static(container, network, config)
        if container.state.running:
            return False
        half = survivor is not None or bool(core.tables.by_container.get(container.id))
        return not half and container.state.status != "removing" and not forgotten(container)

    def _lives(self, container: Container, survivor: Survivor | None) -> bool:
        core = self._core
        if survivor is None or not survivor.pid:
            if survivor is not None and survivor.exit is None:
                self._never_started.add(container.id)
            how = survivor.exit if survivor and survivor.exit else _UNKNOWN
            self._how[container.id] = how
            return False
        try:
            namespace = (
                core.make_namespace.host()
                if container.host_config.network_mode == "host"
                else core.make_namespace.from_process(survivor.pid)
            )
        except ProcessLookupError:
            self._how[container.id] = _UNKNOWN
            return False
        core.sandboxes[container.sandbox] = namespace
        launched = Launched(pid=survivor.pid, conmon_pid=survivor.conmon_pid)
        core.runtime.watch(container.id, launched, self._ending.ended)
        if container.state.paused != survivor.frozen:  # an earlier daemon was killed in between
            state = paused(container.state) if survivor.frozen else resumed(container.state)
            container = msgspec.structs.replace(container, state=state)
            core.tables.put_container(container)
            self._mended.append(container_row(container))
        return True

    def _hold(self, container: Container) -> None:
        try:
            self._attaching.endpoints.hold(self._core.tables.endpoints_of(container.id))
        except ProcessLookupError:
            return  # its end is on the way to us

    def _mend(self, container: Container) -> None:
        """A connect or disconnect that was cut short is undone or finished: default routes and ports where they belong.

        Every network of a running container has an endpoint; one that was going is gone.
        """
        tables, publishing = self._core.tables, self._attaching.publishing
        before = {e.network: e for e in tables.endpoints_of(container.id)}
        on = {tables.networks[key].name for key in before}
        if lost := container.networks.keys() - on:
            left = {name: config for name, config in container.networks.items() if name not in lost}
            container = msgspec.structs.replace(container, networks=left)
            tables.put_container(container)
            self._mended.append(container_row(container))
        publishing.restore(container.id, self._ports.get(container.id, ()))
        after = self._attaching.settled(container, list(before.values()))
        if not any(e.ports for e in after.values()):
            publishing.forget(container.id)
        for key, endpoint in after.items():
            if endpoint != before[key]:
                tables.put_endpoint(endpoint)
                self._mended.append(endpoint_row(endpoint))

    async def _end(self, container: Container) -> None:
        core = self._core
        if container.state.status == "removing" or forgotten(container):
            await self._ending.dismantle(container)
            await self._removal.finish(container.id)
            return
        if not container.state.running or container.id in self._never_started:
            await self._unstarted(container)
            return
        async with core.lanes.hold(container.id):
            ended = await self._ending.finish(container, self._how.pop(container.id, _UNKNOWN))
        if ended.host_config.auto_remove:
            await self._removal.finish(container.id)

    async def _unstarted(self, container: Container) -> None:
        """The earlier daemon was killed in the midst of its start: it is as if that had failed."""
        core = self._core
        await self._ending.dismantle(container)
        state = container.state
        if state.running:
            former = msgspec.structs.replace(state, started=state.started if state.finished else 0, pid=0)
            state = start_failed(former, "the daemon was killed while the container was being started")
        failed = msgspec.structs.replace(container, sandbox="", state=state)
        core.tables.put_container(failed)
        await core.worker.run(statuses=[container_row(failed)])
