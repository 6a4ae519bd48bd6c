"""A running container goes from one set of endpoints to another: kernel, store, files, names and relay together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping

from netloom.engine.core import Core
from netloom.engine.endpoints import Endpoints
from netloom.engine.names import Names
from netloom.engine.publishing import Publishing
from netloom.engine.sandbox_files import SandboxFiles
from netloom.engine.tables import container_row
from netloom.model.container import Container
from netloom.model.endpoint import Endpoint

Set = Mapping[str, Endpoint]  # by network id


class Changeover:
    """Wholly or not at all. The container's lane is held by the caller."""

    def __init__(
        self, core: Core, files: SandboxFiles, endpoints: Endpoints, names: Names, publishing: Publishing
    ) -> None:
        self._core = core
        self._files = files
        self._endpoints = endpoints
        self._names = names
        self._publishing = publishing

    async def run(
        self, former: Container, latter: Container, before: Set, after: Set, *, told: Set | None = None
    ) -> dict[str, Endpoint]:
        """The endpoints that stand, all ready; the container's row becomes `latter`. On failure all is as before.

        `told` are those of `before` that files and names know of, where they do not know all.
        Files and names follow while the worker works: a name may be there a moment before its interface, and go a
        moment before it.
        """
        moving = asyncio.ensure_future(self._endpoints.move(before, after, rows=[container_row(latter)]))
        await asyncio.sleep(0)  # the worker has it by now
        texts: dict[str, str] = {}
        known = before if told is None else told
        try:
            try:
                await self._follow(latter, known, after, texts)
            finally:
                stands = await moving
        except BaseException as error:
            moved = moving.result() if _succeeded(moving) else None
            back = moved is None or await self._endpoints.revert(moved, before, container_row(former))
            if moved is not None and not back and after.keys() < before.keys():
                # What goes has gone for good; who must still hear of it, hears of it by the comparison.
                self._core.complain("a disconnect could not be told to everybody", error)
                return moved
            await self._try(self._back(former, known, after, texts))
            raise
        return stands

    async def _follow(self, container: Container, before: Set, after: Set, texts: dict[str, str]) -> None:
        self._files.refresh(container, list(before.values()), list(after.values()), texts)
        await self._tell(container, before, after)

    async def _tell(self, container: Container, before: Set, after: Set) -> None:
        """The data plane's part."""
        upstreams = self._files.upstreams(container, list(after.values()))
        await all_of(
            self._names.put(e for key, e in after.items() if key not in before or _moved(before[key], e)),
            self._names.drop(e for key, e in before.items() if key not in after),
            self._names.serve(container, after.values(), upstreams),
        )
        holder = next((e for e in after.values() if e.ports), None)
        if holder is not None and not any(e.ports and e.id == holder.id for e in before.values()):
            await self._publishing.relay(container, holder.ports, holder)

    async def _back(self, container: Container, before: Set, after: Set, texts: dict[str, str]) -> None:
        self._files.put_back(container, texts)
        await self._tell(container, after, before)

    async def _try(self, part: Awaitable[object]) -> None:
        """The way back goes on where a part of it fails."""
        try:
            await part
        except Exception as error:
            self._core.complain("the way back failed too", error)


async def all_of(*parts: Awaitable[None]) -> None:
    """Side by side, each to its end; then the first failure is raised."""
    for outcome in await asyncio.gather(*parts, return_exceptions=True):
        if outcome is not None:
            raise outcome


def _moved(before: Endpoint, after: Endpoint) -> bool:
    return (before.ipv4, before.ipv6) != (after.ipv4, after.ipv6)


def _succeeded(task: asyncio.Task[dict[str, Endpoint]]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
