"""Observe, plan, apply: the kernel and the data plane are made to hold what the tables say, and nothing else of ours.

Start-up, a repaired link, a flushed ruleset and a data plane that was started anew all take this road.
"""

from __future__ import annotations

from netloom.engine.attaching import Attaching
from netloom.engine.core import Core
from netloom.engine.forwarding import Forwarding
from netloom.engine.ports import Kernel, Namespace
from netloom.engine.sandbox_files import SandboxFiles
from netloom.firewall.elements import relay_elements
from netloom.model.desired import Bridge, Desired, Element, Key, Step, Veth
from netloom.model.endpoint import Endpoint
from netloom.model.network import Status
from netloom.plan.diff import diff


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
        return [*wanted, *self._forwarding.stands(), *self._relay]

    async def kernel(self) -> list[Step]:
        """Make the kernel agree; the steps that were needed."""
        core = self._core
        await self._find_relay()
        found = await core.worker.call(lambda kernel, _: kernel.observe())
        for sandbox, namespace in self._inhabited():
            found += await core.worker.call(lambda kernel, _, n=namespace, s=sandbox: _look_inside(kernel, n, s))  # type: ignore[misc]
        # Nothing is awaited from here to the plan: what is under way is on neither side.
        others = self._under_way()
        steps = diff(self.desired(), [what for what in found if what.key not in others])
        if steps:
            await core.worker.run(steps=steps, sandboxes=dict(core.sandboxes))
        for step in steps:
            if step.verb == "del" and isinstance(step.what, (Bridge, Veth)):
                await core.links.delete(step.what.index)
        return steps

    def _inhabited(self) -> list[tuple[str, Namespace]]:
        """Sandboxes with endpoints, and their namespaces."""
        core = self._core
        keys = dict.fromkeys(core.tables.containers[e.container].sandbox for e in self.living())
        return [(key, core.sandboxes[key]) for key in keys]

    def _under_way(self) -> set[Key]:
        """Keys of objects that somebody adds or deletes just now."""
        core = self._core
        busy = [n for n in core.tables.networks.values() if n.status is not Status.READY and not n.config_only]
        keys = {o.key for network in busy for o in core.network_desired(network)}
        return keys | {o.key for endpoint in core.moving.values() for o in core.endpoint_desired(endpoint)}

    async def data_plane(self) -> None:
        """Make the data plane agree: also after it was started anew."""
        core = self._core
        await self._find_relay()
        state = await core.dataplane.state()
        self._attaching.names.lost()
        living = self.living()
        containers = {e.container: core.tables.containers[e.container] for e in living}
        sandboxes = {c.sandbox for c in containers.values()}
        for unknown in set(state.sandboxes) - sandboxes:
            await core.dataplane.close_sandbox(unknown)
        known = {e.id for e in living}
        for entry in state.entries:
            if entry.endpoint not in known:
                await core.dataplane.drop_names(entry.endpoint)
        for owner in {h.owner for h in state.held} | {r.owner for r in state.relays}:
            if owner not in containers:
                await core.dataplane.release(owner)
        await self._attaching.names.put(living)
        for container in containers.values():
            await self._open(container.id)

    async def _find_relay(self) -> None:
        """A data plane that was started anew may have its relay on another port."""
        state = await self._core.dataplane.state()
        wanted = relay_elements(state.relay_port)
        if wanted != self._relay:
            await self._core.worker.run(steps=diff(wanted, self._relay))
            self._relay = wanted

    async def _open(self, key: str) -> None:
        core = self._core
        container = core.tables.containers[key]
        endpoints = list(core.tables.endpoints_of(key))
        try:
            await self._attaching.names.serve(container, endpoints, self._files.upstreams(container))
        except ProcessLookupError:
            return  # it has just ended; its end is on the way to us
        holder = next((e for e in endpoints if e.ports), None)
        if holder is not None:
            await self._attaching.publishing.hold_again(container, holder)


def _look_inside(kernel: Kernel, namespace: Namespace, sandbox: str) -> list[Desired]:
    """What a sandbox holds; nothing when it has just ended."""
    try:
        return kernel.observe_sandbox(namespace, sandbox)
    except ProcessLookupError:
        return []
