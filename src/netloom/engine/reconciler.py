"""Observe, plan, apply: the kernel and the data plane are made to hold what the tables say, and nothing else of ours.

Start-up, a repaired link, a flushed ruleset and a data plane that was started anew all take this road.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from netloom.drivers.device import lends
from netloom.drivers.parents import below, on_parent
from netloom.engine.attaching import SHARED_MODES, Attaching
from netloom.engine.core import Core
from netloom.engine.endpoints import delete_child
from netloom.engine.forwarding import Forwarding
from netloom.engine.ports import Kernel, Namespace
from netloom.engine.sandbox_files import SandboxFiles
from netloom.engine.tables import container_row, endpoint_row, gone, network_row, policy_row
from netloom.firewall.cooperation import pair
from netloom.firewall.elements import relay_elements
from netloom.firewall.forwarding import MARKS
from netloom.model.container import Container
from netloom.model.desired import (
    LINKS,
    Address,
    Bridge,
    Child,
    Desired,
    Element,
    HostFacts,
    Key,
    Port,
    Shim,
    Step,
    Sysctl,
    Veth,
)
from netloom.model.endpoint import Endpoint
from netloom.model.names import DataPlaneState, HeldPort, Relay
from netloom.model.network import Status
from netloom.plan.diff import diff, untouched


class Reconciler:
    """Full comparison; the hot road never comes here."""

    def __init__(self, core: Core, attaching: Attaching, files: SandboxFiles, forwarding: Forwarding) -> None:
        self._core = core
        self._attaching = attaching
        self._files = files
        self._forwarding = forwarding
        self._relay: list[Element] = []  # where the data plane's relay listens

    def living(self) -> list[Endpoint]:
        """Endpoints whose sandbox is known to live."""
        tables, sandboxes = self._core.tables, self._core.sandboxes
        return [
            endpoint
            for container in tables.containers.values()
            if container.sandbox in sandboxes
            for endpoint in tables.endpoints_of(container.id)
        ]

    def desired(self) -> list[Desired]:
        """Everything that should stand, without what comes or goes just now."""
        core = self._core
        wanted: list[Desired] = []
        for network in core.tables.networks.values():
            if network.status is Status.READY and not network.config_only:
                wanted += core.network_desired(network)
        for endpoint in self.living():
            if endpoint.id not in core.moving:
                wanted += core.endpoint_desired(endpoint)
        around = pair() if core.settings.cooperate else []
        return [*around, *wanted, *core.policies.stands(), *self._forwarding.stands(), *self._relay]

    async def everything(self) -> list[Step]:
        """Kernel, data plane and store; the steps that the kernel needed."""
        steps = await self.kernel()
        await self.data_plane()
        await self.rows()
        return steps

    async def kernel(self) -> list[Step]:
        """Make the kernel agree; the steps that were needed."""
        core = self._core
        await self._find_relay()
        renamed = await self._restore_names()
        with core.worker.noting() as meanwhile:
            steps = diff(*await self._sides(meanwhile))
        if steps:
            await core.worker.run(steps=steps, sandboxes=dict(core.sandboxes))
        there = {(s.what.key, s.what.index) for s in steps if s.verb == "add" and isinstance(s.what, LINKS)}
        for step in steps:
            what = step.what
            if step.verb != "del" or not isinstance(what, LINKS) or (what.key, what.index) in there:
                continue
            if isinstance(what, Child):
                await delete_child(core, what)
            else:
                await core.links.delete(what.index)
        return [*renamed, *steps]

    async def _restore_names(self) -> list[Step]:
        """The firewall knows ports and bridges by their names; which of them had lost theirs."""
        links = [o for o in self.desired() if isinstance(o, (Bridge, Veth, Shim))]
        meant = {o.index: (o.name, o.mac) for o in links}
        restored = await self._core.worker.call(lambda kernel, _: kernel.restore_names(meant))
        return [Step("set", o) for o in links if o.name in restored]

    async def _sides(self, meanwhile: list[Step]) -> tuple[list[Desired], list[Desired]]:
        """What should stand and what does; on neither side is what others do `meanwhile`."""
        core = self._core
        found = await core.worker.call(lambda kernel, _: kernel.observe())
        ended: set[str] = set()
        for sandbox in self._inhabited():
            inside = await self._inside(sandbox)
            if inside is None:
                ended.add(sandbox)  # its end is on the way to us
            else:
                found += inside
        found += await self._on_others()
        # Nothing is awaited from here to the plan: what is under way is on neither side.
        others = self._under_way(ended) | self._lost(found)
        wanted, found = ([o for o in objects if o.key not in others] for objects in (self.desired(), found))
        return untouched(wanted, meanwhile), untouched(found, meanwhile)

    async def _on_others(self) -> list[Desired]:
        """What stands as wanted on things of the host's own: its switches, its interfaces as ports, addresses of its
        bridges. They have no mark by which `observe` could know them, and what else is there is not ours.
        """
        facts = self._core.facts = await self._core.worker.call(lambda kernel, _: kernel.facts())
        now = dict(facts.sysctls)
        found: list[Desired] = [
            w
            for w in self._forwarding.stands()
            if isinstance(w, Sysctl) and (w.path in MARKS or now.get(w.path) == w.value)  # who turns a mark on may
        ]
        for network in self._core.tables.networks.values():
            if below(network, facts) and not on_parent(network):
                wanted = self._core.network_desired(network)
                for endpoint in self._core.tables.endpoints_on(network.id) if network.adopted else ():
                    wanted += self._core.endpoint_desired(endpoint)
                found += {w.key: w for w in wanted if _stands(w, facts)}.values()
        return found

    def unmet(self) -> bool:
        """Does a network lack something on an interface of others, as the facts tell?"""
        facts = self._core.facts
        return any(
            not _stands(wanted, facts)
            for network in self._core.tables.networks.values()
            if network.status is Status.READY and below(network, facts) and not on_parent(network)
            for wanted in self._core.network_desired(network)
            if isinstance(wanted, Port) or (isinstance(wanted, Address) and network.adopted)
        )

    async def rows(self) -> None:
        """Make the store agree with the tables, but for what is under way: it was disobeyed by a disk that was full."""
        core, tables = self._core, self._core.tables
        loaded = await core.worker.call(
            lambda _, rows: {t: rows.load(t) for t in ("networks", "containers", "endpoints", "policies")}
        )
        # Nothing is awaited from here to the commit.
        busy = {n.id for n in tables.networks.values() if n.status is not Status.READY} | set(core.moving)
        busy |= {c for c in tables.containers if core.lanes.held(c)}
        busy |= {e.id for c in busy for e in tables.endpoints_of(c)}
        if core.lanes.held("policies"):
            busy |= {*loaded["policies"], *core.policies.stored}
        wanted = [
            *map(network_row, tables.networks.values()),
            *map(container_row, tables.containers.values()),
            *(endpoint_row(e) for c in tables.containers for e in tables.endpoints_of(c)),
            *map(policy_row, core.policies.stored.values()),
        ]
        known = {(table, key) for table, key, _ in wanted}
        changes = [row for row in wanted if row[1] not in busy and loaded[row[0]].get(row[1]) != row[2]]
        changes += [
            gone(t, key) for t, rows in loaded.items() for key in rows if (t, key) not in known and key not in busy
        ]
        if changes:
            # As intents: statuses would come after the intents of whoever is queued behind us.
            await core.worker.run(intents=changes)

    def _inhabited(self) -> list[str]:
        """Sandboxes that are a container's own: also one that has no endpoint may have what is left of one."""
        sandboxes = self._core.sandboxes
        return [
            c.sandbox
            for c in self._core.tables.containers.values()
            if c.sandbox in sandboxes and not c.host_config.network_mode.startswith(SHARED_MODES)
        ]

    async def _inside(self, sandbox: str) -> list[Desired] | None:
        """What stands in a sandbox; None when it has ended."""
        core = self._core
        while (namespace := core.sandboxes.get(sandbox)) is not None:
            found = await core.worker.call(partial(_look_inside, namespace=namespace, sandbox=sandbox))
            if found is not None or core.sandboxes.get(sandbox) is namespace:
                return found  # else somebody else holds it now: the process, after our fd
        return None

    def _under_way(self, ended: Collection[str]) -> set[Key]:
        """Keys of objects that somebody adds or deletes just now, or that go with a sandbox."""
        core = self._core
        going = [e for e in self.living() if e.sandbox in ended]
        busy = [n for n in core.tables.networks.values() if n.status is not Status.READY and not n.config_only]
        keys = {o.key for network in busy for o in core.network_desired(network)}
        keys |= {o.key for endpoint in (*core.moving.values(), *going) for o in core.endpoint_desired(endpoint)}
        return keys | self._forwarding.under_way()

    def _lost(self, found: list[Desired]) -> set[Key]:
        """Keys of objects of devices that are neither inside nor on the host: unplugged. They may come again."""
        core, keys = self._core, {o.key for o in found}
        lost: set[Key] = set()
        for endpoint in self.living():
            if lends(core.tables.networks[endpoint.network]):
                wanted = core.endpoint_desired(endpoint)
                child = next(o for o in wanted if isinstance(o, Child))
                if child.key not in keys and core.facts.interface(child.parent) is None:
                    lost |= {o.key for o in wanted}
        return lost

    async def data_plane(self) -> None:
        """Make the data plane agree: also after it was started anew.

        Others go on meanwhile. Requests are carried out in the order in which they are made: each is made of what
        will be when that has ended which is under way at that moment; where it fails, it tells the contrary later.
        """
        core = self._core
        await self._find_relay()
        state = await core.dataplane.state()
        self._attaching.names.opened(state.sandboxes)
        for sandbox in state.sandboxes:
            if sandbox not in core.sandboxes:
                await core.dataplane.close_sandbox(sandbox)
        known = {e.id for e in self.living()} | set(core.moving)
        for entry in state.entries:
            if entry.endpoint not in known:
                await core.dataplane.drop_names(entry.endpoint)
        await self._release(state)
        for endpoint in self.living():
            await self._attaching.names.put(self._coming(endpoint.container, endpoint.network))
        for key in {e.container for e in self.living()}:
            await self._open(key)

    def _coming(self, container: str, network: str = "") -> list[Endpoint]:
        """The endpoints of a container, on one network or all, as they will be when what is under way has ended."""
        core = self._core
        standing = [e for e in core.tables.endpoints_of(container) if network in ("", e.network)]
        return [now for e in standing if (now := core.moving.get(e.id, e)).status is not Status.DELETING]

    async def _release(self, state: DataPlaneState) -> None:
        """Ports that are held and that their container does not have."""
        bound = self._attaching.publishing.bound
        held: dict[str, dict[tuple[str, str], set[int]]] = {}
        ports: tuple[HeldPort | Relay, ...] = (*state.held, *state.relays)
        for port in ports:
            on = held.setdefault(port.owner, {}).setdefault((port.proto, port.ip), set())
            on.update(range(port.port, port.port + port.width))
        for owner, theirs in held.items():
            for b in bound(owner):
                theirs.get((b.proto, b.host_ip), set()).difference_update(range(b.host_port, b.host_port + b.width))
            if any(theirs.values()):
                await self._core.dataplane.release(owner)

    async def _find_relay(self) -> None:
        """A data plane that was started anew may have its relay on another port."""
        state = await self._core.dataplane.state()
        wanted = relay_elements(state.relay_port)
        if wanted != self._relay:
            await self._core.worker.run(steps=diff(wanted, self._relay))
            self._relay = wanted

    async def resolvers(self) -> None:
        """Tell every open resolver what it should know now."""
        for key in {e.container for e in self.living()}:
            await self._serve(key)

    async def _serve(self, key: str) -> tuple[Container, list[Endpoint]] | None:
        """The container, with the endpoints of which its resolver was told; None when it has ended."""
        core = self._core
        container = core.tables.containers.get(key)
        if container is None or container.sandbox not in core.sandboxes:
            return None
        endpoints = self._coming(key)
        try:
            await self._attaching.names.serve(container, endpoints, self._files.upstreams(container, endpoints))
        except ProcessLookupError:
            return None  # its end is on the way to us
        return container, endpoints

    async def _open(self, key: str) -> None:
        served = await self._serve(key)
        if served is None:
            return  # it has ended meanwhile
        container, endpoints = served
        holder = next((e for e in endpoints if e.ports), None)
        if holder is not None:
            await self._attaching.publishing.hold_again(container, holder)


def _stands(what: Desired, facts: HostFacts) -> bool:
    """On an interface of somebody else, as it is now."""
    match what:
        case Port():
            return facts.master_of(what.link) == what.master
        case Address(sandbox=""):
            there = facts.interface(what.link)
            return there is not None and what.address in there.addresses
        case Sysctl(sandbox=""):
            return (what.path, what.value) in facts.sysctls
        case _:
            return False


def _look_inside(kernel: Kernel, rows: object, *, namespace: Namespace, sandbox: str) -> list[Desired] | None:
    """What a sandbox holds; None when it has just ended."""
    try:
        return kernel.observe_sandbox(namespace, sandbox)
    except ProcessLookupError:
        return None
