"""What others do to the host: facts are looked up again, and what is ours is put back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from netloom.drivers.options import PARENT
from netloom.drivers.parents import below, host_access, on_parent, parent_of, shim_name
from netloom.engine.clashes import Clashes
from netloom.engine.core import Core
from netloom.engine.forwarding import Forwarding
from netloom.engine.other_firewalls import OtherFirewalls
from netloom.engine.reconciler import Reconciler
from netloom.firewall.cooperation import BACK, IN
from netloom.model.desired import Step

_ATTEMPTS = 3  # a sandbox may end in the midst of it; what fails so often goes on failing until something changes


class Watching:
    """Hears of bursts of changes; one repair at a time, and one more when something came meanwhile."""

    def __init__(
        self,
        core: Core,
        reconciler: Reconciler,
        forwarding: Forwarding,
        others: OtherFirewalls,
        clashes: Clashes,
        sweep: Callable[[], Awaitable[None]],
        repaired: Callable[[list[Step]], None],
    ) -> None:
        self._core = core
        self._reconciler = reconciler
        self._forwarding = forwarding
        self._others = others
        self._clashes = clashes
        self._sweep = sweep
        self._repaired = repaired
        self._task: asyncio.Task[None] | None = None
        self._facts = self._repair = self._ruleset = self._doubt = False
        self._looking = False
        self._open = False

    def open(self) -> None:
        """Follow from now on, and what came before."""
        self._open = True
        self._begin()

    def changed(self, links: Collection[str], *, facts: bool, ruleset: bool, lost: bool) -> None:
        """`links` of ours went or differ; `lost`: anything may have changed."""
        self._facts |= facts or lost
        self._ruleset |= ruleset or lost
        self._repair |= ruleset or lost or (bool(links) and not self._expected().isdisjoint(links))
        self._begin()

    @property
    def behind(self) -> bool:
        """Have facts changed that `core.facts` do not have yet?"""
        return self._facts or self._looking

    def doubt(self) -> None:
        """Something of ours failed: what stands may differ from what should, in kernel, data plane and store."""
        self._doubt = True
        self._begin()

    async def close(self) -> None:
        """Let a repair that is under way finish."""
        self._open = False
        if self._task is not None:
            await asyncio.wait([self._task])

    def _begin(self) -> None:
        wanted = self._facts or self._repair or self._doubt
        if self._open and wanted and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        failures = 0
        while (self._facts or self._repair or self._doubt) and failures < _ATTEMPTS:
            flags = self._facts, self._repair, self._ruleset, self._doubt
            self._facts = self._repair = self._ruleset = self._doubt = False
            try:
                await self._round(*flags)
                failures = 0
            except Exception as error:
                failures += 1
                if failures == _ATTEMPTS:
                    context = {"message": "what stands could not be compared", "exception": error}
                    asyncio.get_running_loop().call_exception_handler(context)
                self._facts |= flags[0]
                self._repair |= flags[1]
                self._ruleset |= flags[2]
                self._doubt |= flags[3]
        self._facts = self._repair = self._ruleset = self._doubt = False  # given up, until the next notice

    async def _round(self, facts: bool, repair: bool, ruleset: bool, doubt: bool) -> None:
        if facts:
            self._looking = True
            before = self._below()
            try:
                self._core.facts = await self._core.worker.call(lambda kernel, _: kernel.facts())
            finally:
                self._looking = False
            # A parent came or went, and what stood on it; or a port or an address was taken from one.
            repair |= self._below() != before or self._reconciler.unmet()
            self._clashes.follow()
            await self._forwarding.follow()
        if ruleset:
            await self._others.follow()
        if doubt:
            await self._forwarding.follow()
            self._tell(await self._reconciler.everything())
            await self._sweep()
        elif repair:
            self._tell(await self._reconciler.kernel())

    def _tell(self, steps: list[Step]) -> None:
        if steps:
            self._repaired(steps)

    def _expected(self) -> set[str]:
        """Names of interfaces that should stand; those that come or go just now are somebody's business already."""
        core = self._core
        names = {n.bridge or parent_of(n) for n in core.tables.networks.values() if n.bridge or on_parent(n)}
        names |= {parent_of(n) for n in core.tables.networks.values() if n.options.get(PARENT)}  # a VLAN as a port
        if core.settings.cooperate:
            names |= {IN, BACK}
        names |= {shim_name(n) for n in core.tables.networks.values() if host_access(n)}
        return names | {e.host_name for e in self._reconciler.living() if e.id not in core.moving}

    def _below(self) -> set[tuple[str, int]]:
        """Interfaces of others that networks stand on."""
        core = self._core
        return {(one.name, one.index) for n in core.tables.networks.values() for one in below(n, core.facts)}
