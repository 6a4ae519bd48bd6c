"""A route or an interface of somebody else that came to overlap a network: told when it comes, and listed on demand."""

from __future__ import annotations

import logging

from netloom.drivers.parents import on_lan
from netloom.engine.core import Core
from netloom.ipam.clashes import Clash, finding
from netloom.model.finding import Finding

log = logging.getLogger("netloom.engine")


class Clashes:
    """Followed at start-up and whenever the host's routes or interfaces change."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._told: set[Clash] = set()

    def follow(self) -> None:
        """Tell of each clash that is new since the last time; `core.facts` are fresh."""
        found = self._found()
        for clash in found:
            if clash not in self._told:
                self._tell(clash)
        for clash in self._told.difference(found):
            log.info("an address clash is over", extra={"subnet": clash.subnet, "other": clash.other.destination})
        self._told = set(found)

    async def look(self) -> list[Finding]:
        """All that there are now, on the host as it is now."""
        core = self._core
        core.facts = await core.worker.call(lambda kernel, _: kernel.facts())
        return [finding(clash, core.tables.networks[clash.network].name) for clash in self._found()]

    def _found(self) -> list[Clash]:
        """Networks that are just coming or going are left out, those of LANs, and routes by a network's own bridge."""
        clashes, networks = self._core.space.clashes(self._core.facts.claimed), self._core.tables.networks
        known = [(clash, networks[clash.network]) for clash in clashes if clash.network in networks]
        return [clash for clash, network in known if not on_lan(network) and clash.other.link != network.bridge]

    def _tell(self, clash: Clash) -> None:
        network = self._core.tables.networks[clash.network]
        said = finding(clash, network.name)
        log.warning(
            "addresses of a network are used by others too",
            extra={"network": network.name, "subnet": clash.subnet, "other": said.between[1], "remedy": said.remedy},
        )
        self._core.publish(
            "network",
            "clash",
            network.id,
            name=network.name,
            type=network.driver,
            subnet=clash.subnet,
            other=said.between[1],
            remedy=said.remedy,
        )
