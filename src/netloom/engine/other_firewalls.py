"""Firewalls beside ours: where a known owner's chain drops, one marked rule passes what is judged here.

It stands while containers may run, and goes with the daemon's stop when none does. A chain of an unknown owner is
left alone: an event and the log name it, with the remedy.
"""

from __future__ import annotations

import logging

from netloom.engine.core import Core
from netloom.model.desired import PassedDrop
from netloom.model.errors import NetloomError
from netloom.model.finding import Finding

log = logging.getLogger("netloom.engine")


class OtherFirewalls:
    """Followed at start-up and whenever somebody changes nftables."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._told: set[str] = set()  # chains whose remedy has been told

    async def follow(self) -> None:
        """Pass what can be passed, tell what cannot. One that cannot be read is told of."""
        try:
            found = await self._core.worker.call(lambda kernel, _: kernel.pass_others(wanted=True))
        except NetloomError as error:
            log.warning("other firewalls could not be looked at", extra={"error": str(error)})
            return
        for one in found:
            self._tell(one)
        self._told &= {one.chain for one in found}

    async def look(self) -> list[Finding]:
        """Those that cannot be passed, on the host as it is now. One that cannot be read is a finding too."""
        try:
            found = await self._core.worker.call(lambda kernel, _: kernel.pass_others(wanted=True))
        except NetloomError as error:
            return [_unread(error)]
        return [_finding(one) for one in found if one.remedy]

    async def withdraw(self) -> None:
        """Take our rules away, where no container runs."""
        if not any(c.state.running for c in self._core.tables.containers.values()):
            await self._core.worker.call(lambda kernel, _: kernel.pass_others(wanted=False))

    def _tell(self, one: PassedDrop) -> None:
        if one.changed:
            log.info("a rule of ours passes another firewall", extra={"owner": one.owner, "chain": one.chain})
        if one.remedy and one.chain not in self._told:
            self._told.add(one.chain)
            owner = one.owner or "unknown"
            log.warning(
                "another firewall drops forwarded packets",
                extra={"chain": one.chain, "owner": owner, "remedy": one.remedy},
            )
            self._core.publish("daemon", "firewall", "", chain=one.chain, owner=owner, remedy=one.remedy)


def _finding(one: PassedDrop) -> Finding:
    return Finding(
        kind="another firewall",
        between=("netloom's networks", f"the chain {one.chain} of {one.owner or 'an unknown owner'}"),
        effect="what this chain drops reaches no container and leaves none, published ports included",
        remedy=one.remedy,
    )


def _unread(error: NetloomError) -> Finding:
    return Finding(
        kind="other firewalls",
        between=("netloom's networks", "the host's nftables"),
        effect="nobody knows whether another firewall drops what netloom lets through",
        remedy=str(error),
    )
