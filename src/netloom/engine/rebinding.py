"""Published ports of a running container whose way out leads by another network: bound as that network's mode says."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from typing import NamedTuple

from netloom.drivers.bridge_options import BridgeOptions
from netloom.engine.core import Core
from netloom.engine.publishing import Publishing
from netloom.model.container import Container
from netloom.model.endpoint import Endpoint, PortBinding, without
from netloom.model.errors import Failed

log = logging.getLogger("netloom.engine")


class Rebound(NamedTuple):
    """Ports as they are to stand; of them those that are held newly, and those that go when these stand."""

    ports: tuple[PortBinding, ...]
    new: tuple[PortBinding, ...] = ()
    gone: tuple[PortBinding, ...] = ()


class Rebinding:
    """Takes before it lets go: until the endpoints stand the former ports are held, and after a failure again alone."""

    def __init__(self, core: Core, publishing: Publishing) -> None:
        self._core = core
        self._publishing = publishing

    async def prepare(self, container: Container, owner: Endpoint | None, options: Mapping[str, str]) -> Rebound:
        """Hold what the owner's network asks for and the container has not. Raises Failed in Docker's words.

        `options` are those of that network. Ports of a family that is bound as they say stay as they are.
        """
        bound = self._publishing.bound(container.id)
        if owner is None:
            return Rebound(bound)
        routed = BridgeOptions.parse(options).routed
        gone = tuple(port for port in bound if (not port.host_port) != (port.family in routed))
        if not gone:
            return Rebound(bound)
        kept = without(bound, gone)
        families = {port.family for port in gone}
        new = await self._publishing.publish(container, owner, options, bound, families=families, beside=kept)
        self._core.at("rebound")
        return Rebound((*kept, *new), new, gone)

    async def let_go(self, container: Container, ports: tuple[PortBinding, ...]) -> None:
        """Of what does not stand, or not any more; what cannot be released is told."""
        if not ports:
            return
        try:
            await self._publishing.retract(container, ports)
        except Exception as error:
            self._core.complain("held ports could not be released", error)

    async def or_none(self, container: Container, prepared: Awaitable[Rebound]) -> Rebound:
        """What was prepared for a network that is left: as with Docker it is left though a port is another's by now.

        Then no port of the container stands, until another change or start finds it free.
        """
        try:
            return await prepared
        except Failed as error:
            log.warning("container %s is left without published ports: %s", container.name, error)
            return Rebound((), (), self._publishing.bound(container.id))
