"""Publishing ports of a container that stands, and withdrawing them; a running one has them when it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from netloom.engine.attaching import UNPUBLISHED_MODES, Attaching
from netloom.engine.core import Core
from netloom.engine.tables import container_row
from netloom.firewall.port_changes import added, going, removed
from netloom.model.container import Container
from netloom.model.endpoint import Endpoint, PortBinding, without
from netloom.model.errors import Conflict, NotFound
from netloom.model.host_config import HostConfig, PortSpec
from netloom.model.port_keys import gathered

Ports = Mapping[str, Sequence[PortSpec]]


class PortChanges:
    """One change of one container at a time, in its lane."""

    def __init__(self, core: Core, attaching: Attaching) -> None:
        self._core = core
        self._attaching = attaching

    async def change(self, ref: str, add: Ports, remove: Ports) -> None:
        """Withdraw what is to be removed, and publish what is to be added; both or, when it fails, neither."""
        core = self._core
        container = core.tables.container(ref)
        async with core.lanes.hold(container.id):
            now = core.tables.containers.get(container.id)
            if now is None:
                raise NotFound(f"No such container: {ref}")
            if now.host_config.network_mode.startswith(UNPUBLISHED_MODES):
                raise Conflict(f"container {now.name} publishes no ports: its network mode is not one of networks")
            left = removed(now.host_config, remove, self._attaching.publishing.bound(now.id))
            config, host_config = added(now.config, left, add)
            changed = gathered(msgspec.structs.replace(now, config=config, host_config=host_config))
            try:
                await self._change(now, changed, add, remove, left)
            except ProcessLookupError as error:
                raise Conflict(f"container {now.id} is not running") from error
        core.publish_container("update", changed)

    async def _change(
        self, container: Container, changed: Container, add: Ports, remove: Ports, left: HostConfig
    ) -> None:
        core, publishing = self._core, self._attaching.publishing
        before = self._attaching.endpoints.current(container.id) if container.state.running else {}
        owner = self._owner(container, list(before.values()))
        if owner is None:
            await core.worker.run(intents=[container_row(changed)])
            self._keep(changed)
            return
        bound = publishing.bound(container.id)
        gone = going(bound, remove, left)
        new = await self._publish(changed, owner, add, bound)
        after = {
            key: msgspec.structs.replace(e, ports=tuple(p for p in without((*e.ports, *new), gone) if _fits(e, p)))
            if e.id == owner.id
            else e
            for key, e in before.items()
        }
        try:
            await self._attaching.endpoints.move(before, after, rows=[container_row(changed)])
        except BaseException:
            if new:
                await publishing.retract(container, new)
            raise
        self._keep(changed)
        if gone:
            try:
                await publishing.retract(container, gone)
            except Exception as error:
                core.complain("held ports could not be released", error)

    async def _publish(
        self, changed: Container, owner: Endpoint, add: Ports, bound: tuple[PortBinding, ...]
    ) -> tuple[PortBinding, ...]:
        if not add:
            return ()
        asked = HostConfig(port_bindings={key: tuple(specs) or (PortSpec(),) for key, specs in add.items()})
        wanted = gathered(msgspec.structs.replace(changed, host_config=asked))
        options = self._core.tables.networks[owner.network].options
        return await self._attaching.publishing.publish(wanted, owner, options, bound)

    def _owner(self, container: Container, endpoints: list[Endpoint]) -> Endpoint | None:
        """The endpoint whose ports they are; None while there is none with a way out."""
        settled = self._attaching.settled(container, endpoints).values()
        outward = [e for e in settled if e.default4 or e.default6]
        return next((e for e in outward if e.default4), outward[0] if outward else None)

    def _keep(self, changed: Container) -> None:
        """Its state may have changed meanwhile."""
        current = self._core.tables.containers[changed.id]
        self._core.tables.put_container(
            msgspec.structs.replace(current, config=changed.config, host_config=changed.host_config)
        )


def _fits(endpoint: Endpoint, port: PortBinding) -> bool:
    """An IPv4 port needs an IPv4 address behind it."""
    return bool(endpoint.ipv4) or ":" in port.host_ip
