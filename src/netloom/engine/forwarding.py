"""The host's forwarding switches: on while a network needs them, as they were before when none does.

What was switched on is recorded, with the value it had, before it is touched.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from netloom.engine.core import Core
from netloom.engine.tables import Row
from netloom.firewall.forwarding import MARKS, forwarding, there_already
from netloom.firewall.forwarding import Forwarding as Switches
from netloom.model.desired import Desired, Key, Sysctl
from netloom.model.errors import Forbidden
from netloom.model.network import Network, Status
from netloom.plan.diff import diff

_KEY = ("daemon", "forwarding")


class Forwarding:
    """Follows the set of networks; costs nothing while that set needs the same switches."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._recorded: tuple[Sysctl, ...] = ()
        self._written: tuple[Sysctl, ...] = ()  # on disk: also what is no longer ours, until the switches are thrown
        self._standing: tuple[Desired, ...] = ()
        self._attempted: tuple[Desired, ...] = ()  # by what failed: any of them may stand

    def restore(self, body: bytes | None) -> None:
        """The record of an earlier daemon."""
        self._recorded = self._written = msgspec.json.decode(body, type=tuple[Sysctl, ...]) if body else ()

    def wanted(self) -> Switches:
        """For the networks that stand or are about to."""
        return forwarding(self._networks(), self._core.facts, self._recorded)

    def refuse(self, network: Network) -> None:
        """Raises Forbidden for a network that needs what the daemon may not switch on (`--ip-forward=false`)."""
        if self._core.settings.ip_forward:
            return
        off = [s.path for s in forwarding([network], self._core.facts).undo if s.path not in MARKS]
        if off:
            raise Forbidden(
                f"network {network.name} needs forwarding, which is off and not ours to switch on (--ip-forward=false)",
                remedy=f"switch on {', '.join(off)}, or create the network as internal",
            )

    async def follow(self) -> None:
        """Switch what the present set of networks needs."""
        if not self._core.settings.ip_forward:
            return
        async with self._core.lanes.hold("forwarding"):
            await self._follow()
            await self._record()

    async def _follow(self) -> None:
        switches = self.wanted()
        standing: tuple[Desired, ...] = (*switches.elements, *switches.sysctls)
        if standing == self._standing and not self._attempted and not self._undone(standing):
            return
        maybe: list[Desired] = [o for o in (*self._standing, *self._attempted) if not isinstance(o, Sysctl)]
        if not self._attempted:  # what is there is not written again: that would undo what somebody has just done
            maybe += there_already(switches, self._core.facts)
        # Should this fail, nobody knows which of them stand: the next attempt must take all of them back.
        self._attempted = (*self._attempted, *standing)
        self._recorded = self._written = _merged(self._recorded, switches.undo)
        await self._core.worker.run(intents=[_row(self._recorded)], steps=diff(standing, maybe))
        self._recorded, self._standing, self._attempted = switches.undo, standing, ()
        now = {**dict(self._core.facts.sysctls), **{s.path: s.value for s in switches.sysctls}}
        self._core.facts = msgspec.structs.replace(self._core.facts, sysctls=tuple(now.items()))

    async def _record(self) -> None:
        """What can be said only when the switches are thrown: what is ours no more, and what they have shown."""
        self._recorded = self.wanted().undo
        if self._recorded != self._written:
            await self._core.worker.run(intents=[_row(self._recorded)])
            self._written = self._recorded

    def _undone(self, standing: Iterable[Desired]) -> bool:
        """Is a switch off that should be on? An interface that was made anew under its name has its own."""
        now = dict(self._core.facts.sysctls)
        return any(isinstance(s, Sysctl) and now.get(s.path, s.value) != s.value for s in standing)

    def under_way(self) -> set[Key]:
        """What is being switched just now, or by an attempt that failed."""
        return {o.key for o in (*self._standing, *self._attempted)} if self._attempted else set()

    def stands(self) -> list[Desired]:
        """What a full comparison must find."""
        return list(self._standing)

    def _networks(self) -> list[Network]:
        return [n for n in self._core.tables.networks.values() if n.status is not Status.DELETING]


def _merged(before: tuple[Sysctl, ...], after: tuple[Sysctl, ...]) -> tuple[Sysctl, ...]:
    """Until the switches are thrown both records hold: what is in neither was never ours."""
    return tuple({s.path: s for s in (*after, *before)}.values())


def _row(record: tuple[Sysctl, ...]) -> Row:
    return (*_KEY, msgspec.json.encode(record))
