"""The host's name servers, followed: a container on a user-defined network is served by those of today."""

from __future__ import annotations

import asyncio
import logging

from netloom.engine.core import Core
from netloom.engine.reconciler import Reconciler
from netloom.model.errors import NetloomError

log = logging.getLogger("netloom.engine")


class HostServers:
    """Hears of changes of the host's resolv.conf, and tells every resolver that forwards to its servers."""

    def __init__(self, core: Core, reconciler: Reconciler) -> None:
        self._core = core
        self._reconciler = reconciler
        self._told = ""
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Follow from now on; the resolvers know what stands now."""
        self._told = self._core.files.host_resolv_conf()

    def changed(self) -> None:
        """The file may be another one now."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._follow())

    async def close(self) -> None:
        """Let what is under way finish."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _follow(self) -> None:
        while (now := self._core.files.host_resolv_conf()) != self._told:
            self._told = now
            try:
                await self._reconciler.resolvers()
            except NetloomError as error:
                self._core.complain("containers could not be told of the host's new name servers", error)
            else:
                log.info("the host's name servers have changed; running containers use the new ones")
