"""Endpoints come and go: from one set of endpoints of a container to the next, and back when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from netloom.drivers.parents import on_parent
from netloom.engine.core import Core
from netloom.engine.tables import Row, endpoint_row, gone
from netloom.model.desired import Address, Child, Desired, Neighbour, Route, Step, Sysctl, Veth
from netloom.model.endpoint import Endpoint
from netloom.model.network import Status
from netloom.plan.diff import diff

Set = Mapping[str, Endpoint]  # by network id


class Endpoints:
    """Moves the kernel, the store and the tables from one set of a container's endpoints to another."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def current(self, container: str) -> dict[str, Endpoint]:
        """The set that stands, by network id."""
        return dict(self._core.tables.by_container.get(container, {}))

    async def bring_up(self, before: Set, coming: Iterable[Endpoint]) -> dict[str, Endpoint]:
        """Interfaces that wait for their addresses: they stay pending, and go if the daemon dies meanwhile."""
        return await self.move(before, {**before, **{e.network: e for e in coming}}, pending=True)

    async def move(
        self, before: Set, after: Set, *, rows: Sequence[Row] = (), pending: bool = False
    ) -> dict[str, Endpoint]:
        """Make `after` stand in place of `before`; the endpoints that stand, all ready.

        Only what differs is touched. The intents are on disk before the kernel is. On failure the way back is
        planned and the tables tell `before`. Returns when removed interfaces are unlisted. `rows` are committed
        with the statuses, and only then. With `pending` what comes is not ready yet.
        """
        touched = [e for key, e in {**before, **after}.items() if before.get(key) != after.get(key)]
        self._core.moving.update((e.id, e if e.network in after else _deleting(e)) for e in touched)
        try:
            return await self._move(before, after, rows, pending)
        finally:
            for endpoint in touched:
                self._core.moving.pop(endpoint.id, None)

    def hold(self, endpoints: Iterable[Endpoint]) -> None:
        """Keep the sandboxes of those that stand on a parent, beyond their processes, until they are removed.

        The kernel ends a namespace some time after its last process; a MAC that comes back meanwhile is refused.
        Raises ProcessLookupError.
        """
        core = self._core
        for endpoint in endpoints:
            if endpoint.sandbox not in core.held and on_parent(core.tables.networks[endpoint.network]):
                core.held[endpoint.sandbox] = core.make_namespace.from_fd(core.sandboxes[endpoint.sandbox].open())

    def _let_go(self, gone: Iterable[Endpoint], staying: Iterable[Endpoint]) -> None:
        networks = self._core.tables.networks
        kept = {e.sandbox for e in staying if on_parent(networks[e.network])}
        for sandbox in {e.sandbox for e in gone} - kept:
            if (namespace := self._core.held.pop(sandbox, None)) is not None:
                namespace.close()

    async def _move(self, before: Set, after: Set, rows: Sequence[Row], pending: bool) -> dict[str, Endpoint]:
        core = self._core
        added = [e for key, e in after.items() if key not in before]
        changed = [e for key, e in after.items() if key in before and before[key] != e]
        removed = [e for key, e in before.items() if key not in after]
        moved = [before[e.network] for e in changed if before[e.network].ipv4 != e.ipv4]
        lost = [o for o in self._desired(moved) if isinstance(o, (Address, Route))]
        stood = [o for o in self._own(before[e.network] for e in changed) if o not in lost]
        # First: with an address the kernel takes the routes by it, and other addresses of its subnet.
        steps = [Step("del", o) for o in reversed(lost)]
        said = core.policies.coming(added)
        changing = self._desired(changed)
        steps += diff(
            [*said, *changing, *self._desired(added)],
            [*stood, *self._outside(removed), *core.policies.leaving(removed)],
        )
        # The comparison leaves neighbours of an interface that stands alone.
        steps += [Step("add", o) for o in changing if isinstance(o, Neighbour) and o not in stood]
        self.hold(added)
        for endpoint in added:
            core.tables.put_endpoint(endpoint)
        stands = {key: e if pending and e in added else _ready(e) for key, e in after.items()}
        try:
            await core.worker.run(
                intents=[endpoint_row(e) for e in added] + [endpoint_row(_deleting(e)) for e in removed],
                steps=steps,
                sandboxes=core.sandboxes,
                statuses=[*rows, *(endpoint_row(stands[e.network]) for e in [*added, *changed]), *_gone(removed)],
            )
        except BaseException:
            if said:
                core.doubted()  # others may count on what did not come
            await self._back(before, after, added, changed)
            raise
        self._core.at("fenced")
        await self._unlist(removed)
        self._core.at("unlisted")
        for endpoint in removed:
            core.tables.drop_endpoint(endpoint)
        self._let_go(removed, stands.values())
        for endpoint in stands.values():
            core.tables.put_endpoint(endpoint)
        return stands

    def going(self, endpoints: Iterable[Endpoint]) -> None:
        """From now on until `remove` has ended nobody else puts up anything for them."""
        self._core.moving.update((e.id, _deleting(e)) for e in endpoints)

    async def remove(self, endpoints: Collection[Endpoint]) -> None:
        """Take endpoints away, whatever fails: what cannot go now is found by the comparison that follows."""
        core = self._core
        self.going(endpoints)
        steps = diff((), [*self._outside(endpoints), *core.policies.leaving(endpoints)])
        try:
            await core.worker.run(
                intents=[endpoint_row(_deleting(e)) for e in endpoints], steps=steps, statuses=_gone(endpoints)
            )
        except Exception as error:
            core.complain("endpoints could not be removed at once", error)
            await self._piecemeal(steps, endpoints)
        self._core.at("fenced")
        await self._unlist(endpoints)
        self._core.at("unlisted")
        for endpoint in endpoints:
            core.tables.drop_endpoint(endpoint)
            core.moving.pop(endpoint.id, None)
        self._let_go(endpoints, ())

    async def _piecemeal(self, steps: Sequence[Step], endpoints: Collection[Endpoint]) -> None:
        run = self._core.worker.run
        for part in (*(run(steps=[step]) for step in steps), run(statuses=_gone(endpoints))):
            try:
                await part
            except Exception as error:
                self._core.complain("a part of an endpoint could not be removed", error)

    async def _unlist(self, removed: Iterable[Endpoint]) -> None:
        """Delete the host's interfaces of endpoints whose objects are gone; returns when they are unlisted.

        One that cannot be deleted carries nothing any more; the comparison that follows tries again.
        """
        objects = [o for e in removed for o in self._core.endpoint_desired(e)]
        going = [self._core.links.delete(o.index) for o in objects if isinstance(o, Veth)]
        going += [delete_child(self._core, o) for o in objects if isinstance(o, Child)]
        if not going:
            return
        for failed in await asyncio.gather(*going, return_exceptions=True):
            if failed is not None:
                self._core.complain("an interface could not be deleted", failed)

    async def _back(self, before: Set, after: Set, added: list[Endpoint], changed: list[Endpoint]) -> None:
        """Plan to the former state; what does not come or go now is found by the comparison that follows."""
        core = self._core
        removed = [e for key, e in before.items() if key not in after]
        former = [before[e.network] for e in changed] + removed
        said = core.policies.coming(removed)
        gone = [*self._own(changed), *self._outside(added), *core.policies.leaving(added)]
        try:
            await core.worker.run(
                steps=diff([*said, *self._desired(former)], gone),
                sandboxes=core.sandboxes,
                statuses=[endpoint_row(_ready(e)) for e in former] + _gone(added),
            )
            await self._unlist(added)
        except Exception as error:
            core.complain("the way back failed too", error)
        for endpoint in added:
            core.tables.drop_endpoint(endpoint)
        self._let_go(added, before.values())

    async def revert(self, stands: Set, before: Set, row: Row) -> bool:
        """Back from `stands`, which an operation has made. Where that fails what it added goes, and nothing comes."""
        try:
            await self.move(stands, before, rows=[row])
            return True
        except Exception as error:
            self._core.complain("the way back failed too", error)
            for key, endpoint in before.items():
                if key in stands:
                    self._core.tables.put_endpoint(endpoint)
            await self.remove([e for key, e in stands.items() if key not in before])
            return False

    def _own(self, endpoints: Iterable[Endpoint]) -> list[Desired]:
        """What they have that nobody else needs."""
        return [
            o
            for e in endpoints
            for o in self._core.endpoint_desired(e)
            if not (isinstance(o, Sysctl) and not o.sandbox and self._shared(e))
        ]

    def _outside(self, endpoints: Iterable[Endpoint]) -> list[Desired]:
        """What of them must be deleted: what is inside goes with the interface, what is shared stays for others."""
        return [o for o in self._own(endpoints) if isinstance(o, (Veth, Child)) or not getattr(o, "sandbox", "")]

    def _shared(self, endpoint: Endpoint) -> bool:
        """Do ports of another endpoint need the same setting of the bridge?"""
        core = self._core
        on = core.tables.by_network.get(endpoint.network, {}).values()
        return any(
            e.ports and e.id != endpoint.id and core.moving.get(e.id, e).status is not Status.DELETING for e in on
        )

    def _desired(self, endpoints: Iterable[Endpoint]) -> list[Desired]:
        return [wanted for e in endpoints for wanted in self._core.endpoint_desired(e)]


async def delete_child(core: Core, child: Child) -> None:
    """Delete what stands on a parent. Where its namespace is not known any more it has gone with it."""
    namespace = core.held.get(child.sandbox) or core.sandboxes.get(child.sandbox)
    if namespace is not None:
        await core.links.delete_inside(child.index, namespace, child.sandbox)


def _ready(endpoint: Endpoint) -> Endpoint:
    if endpoint.status is Status.READY:
        return endpoint
    return msgspec.structs.replace(endpoint, status=Status.READY)


def _deleting(endpoint: Endpoint) -> Endpoint:
    return msgspec.structs.replace(endpoint, status=Status.DELETING)


def _gone(endpoints: Iterable[Endpoint]) -> list[Row]:
    return [gone("endpoints", e.id) for e in endpoints]
