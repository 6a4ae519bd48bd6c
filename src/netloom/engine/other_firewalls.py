"""Firewalls beside ours: where a known owner's chain drops, one marked rule passes what is judged here.

It stands while containers may run, and goes with the daemon's stop when none does. An owner that knows interfaces
and no marks (firewalld) is told of each bridge as it comes and goes. A chain of an unknown owner is left alone: an
event and the log name it, with the remedy.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from netloom.engine.core import Core
from netloom.engine.ports import Kernel
from netloom.model.desired import PassedDrop
from netloom.model.errors import NetloomError
from netloom.model.finding import Finding
from netloom.model.network import Network, Status

log = logging.getLogger("netloom.engine")

FIREWALLD = "firewalld"


class OtherFirewalls:
    """Followed at start-up and whenever somebody changes nftables."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._told: set[str] = set()  # chains whose remedy has been told
        self._zoned = False  # is there one that knows bridges by name?

    async def follow(self) -> None:
        """Pass what can be passed, tell what cannot. One that cannot be read is told of."""
        try:
            found = await self._settle(self._bridges(), wanted=True)
        except NetloomError as error:
            log.warning("other firewalls could not be looked at", extra={"error": str(error)})
            return
        self._zoned = any(one.owner == FIREWALLD for one in found)
        for one in found:
            self._tell(one)
        self._told &= {one.chain for one in found}

    async def look(self) -> list[Finding]:
        """Those that cannot be passed, on the host as it is now. One that cannot be read is a finding too."""
        try:
            found = await self._settle(self._bridges(), wanted=True)
        except NetloomError as error:
            return [_unread(error)]
        return [_finding(one) for one in found if one.remedy]

    async def withdraw(self) -> None:
        """Take our rules away, where no container runs."""
        if not any(c.state.running for c in self._core.tables.containers.values()):
            await self._settle(self._bridges(), wanted=False)

    async def came(self) -> None:
        """A network was created."""
        if self._zoned:
            await self.follow()

    async def goes(self, network: Network) -> None:
        """A network is about to be removed; where it stays all the same, `came` puts it back."""
        if self._zoned and network.bridge:
            try:
                await self._settle(self._bridges(), wanted=True, gone=[network.bridge])
            except NetloomError as error:
                log.warning("another firewall keeps a bridge that goes", extra={"error": str(error)})

    async def _settle(self, bridges: list[str], *, wanted: bool, gone: Sequence[str] = ()) -> list[PassedDrop]:
        return await self._core.worker.call(partial(_pass, bridges=bridges, wanted=wanted, gone=gone))

    def _bridges(self) -> list[str]:
        networks = self._core.tables.networks.values()
        return [n.bridge for n in networks if n.bridge and n.status is Status.READY and not n.config_only]

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


def _pass(kernel: Kernel, rows: object, *, bridges: list[str], wanted: bool, gone: Sequence[str]) -> list[PassedDrop]:
    return kernel.pass_others(bridges, wanted=wanted, gone=gone)


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
