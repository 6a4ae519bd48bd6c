"""What others do to the host: facts are looked up again, and what is ours is put back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from netloom.engine.core import Core
from netloom.engine.forwarding import Forwarding
from netloom.engine.other_firewalls import OtherFirewalls
from netloom.engine.reconciler import Reconciler
from netloom.model.desired import Step


class Watching:
    """Hears of bursts of changes; one repair at a time, and one more when something came meanwhile."""

    def __init__(
        self,
        core: Core,
        reconciler: Reconciler,
        forwarding: Forwarding,
        others: OtherFirewalls,
        repaired: Callable[[list[Step]], None],
    ) -> None:
        self._core = core
        self._reconciler = reconciler
        self._forwarding = forwarding
        self._others = others
        self._repaired = repaired
        self._task: asyncio.Task[None] | None = None
        self._facts = self._repair = self._ruleset = False

    def changed(self, links: Collection[str], *, facts: bool, ruleset: bool, lost: bool) -> None:
        """`links` of ours went or differ; `lost`: anything may have changed."""
        self._facts |= facts or lost
        self._ruleset |= ruleset or lost
        self._repair |= ruleset or lost or any(name in self._expected() for name in links)
        if (self._facts or self._repair) and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._follow())

    async def close(self) -> None:
        """Let a repair that is under way finish."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _follow(self) -> None:
        while self._facts or self._repair:
            facts, self._facts = self._facts, False
            repair, self._repair = self._repair, False
            ruleset, self._ruleset = self._ruleset, False
            if facts:
                self._core.facts = await self._core.worker.call(lambda kernel, _: kernel.facts())
                await self._forwarding.follow()
            if ruleset:
                await self._others.follow()
            if repair:
                steps = await self._reconciler.kernel()
                if steps:
                    self._repaired(steps)

    def _expected(self) -> set[str]:
        """Names of interfaces that should stand; those that come or go just now are somebody's business already."""
        core = self._core
        names = {n.bridge for n in core.tables.networks.values() if n.bridge}
        return names | {e.host_name for e in self._reconciler.living() if e.id not in core.moving}
