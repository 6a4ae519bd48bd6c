"""Telling the neighbours of endpoints where their addresses are now: gratuitous ARP and unsolicited NA."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from netloom.drivers.bridge_options import ADVERTISE_COUNT, ADVERTISE_INTERVAL
from netloom.drivers.parents import on_parent, parent_of
from netloom.engine.core import Core
from netloom.engine.ports import Kernel, Rows
from netloom.model.endpoint import Endpoint
from netloom.model.errors import NetloomError

_MESSAGES, _PAUSE_MS = 3, 1000  # Docker's defaults
_AT_ONCE = 16  # a flood into a bridge of 1,000 ports costs 1.5 ms, and whoever asks for something waits behind it


class _News(NamedTuple):
    """What is said of an endpoint: on which link of the host, how often, with how many seconds in between."""

    endpoint: Endpoint
    link: str
    times: int
    pause: float

    def say(self, kernel: Kernel) -> None:
        addresses = [a.partition("/")[0] for a in (self.endpoint.ipv4, self.endpoint.ipv6) if a]
        kernel.announce(self.link, self.endpoint.mac, addresses)


class Announcing:
    """Of what stands on a parent its LAN is told; in ipvlan's l3 modes there are no neighbours."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._adopted: asyncio.Task[None] | None = None

    def new(self, endpoints: Iterable[Endpoint]) -> None:
        """After the reply, since the flood's cost grows with the bridge's ports; as often as the network says."""
        for news in self._news(endpoints):
            self._repeat(news, news.times)

    def adopted(self, endpoints: Iterable[Endpoint]) -> None:
        """Each once more, the newest first: whoever ran the daemon before may have been killed before it told them."""
        newest_first = sorted(endpoints, key=lambda e: e.number, reverse=True)
        self._adopted = asyncio.get_running_loop().create_task(self._once(list(self._news(newest_first))))

    async def close(self) -> None:
        """What has not been said yet is left to the next daemon."""
        if self._adopted is not None:
            self._adopted.cancel()
            await asyncio.wait([self._adopted])

    def _news(self, endpoints: Iterable[Endpoint]) -> Iterator[_News]:
        for endpoint in endpoints:
            network = self._core.tables.networks[endpoint.network]
            times = int(network.options.get(ADVERTISE_COUNT, _MESSAGES))
            pause = int(network.options.get(ADVERTISE_INTERVAL, _PAUSE_MS)) / 1000
            link = parent_of(network) if on_parent(network) and not endpoint.on_link else network.bridge
            if link and times:
                yield _News(endpoint, link, times, pause)

    def _repeat(self, news: _News, left: int) -> None:
        """One now, the others after a pause each, for as long as the endpoint stands."""
        if not self._stands(news.endpoint):
            return
        self._core.worker.post(lambda kernel, _: news.say(kernel))
        if left > 1:
            asyncio.get_running_loop().call_later(news.pause, self._repeat, news, left - 1)

    async def _once(self, all_news: Sequence[_News]) -> None:
        """A few at a time: requests come in between."""
        for start in range(0, len(all_news), _AT_ONCE):
            await self._say([news for news in all_news[start : start + _AT_ONCE] if self._stands(news.endpoint)])

    async def _say(self, some: Sequence[_News]) -> None:
        def say(kernel: Kernel, _: Rows) -> None:
            for news in some:
                news.say(kernel)

        try:
            await self._core.worker.call(say)
        except NetloomError as error:  # one link's failure is not the others'
            told = {"message": "what was adopted could not be announced", "exception": error}
            asyncio.get_running_loop().call_exception_handler(told)

    def _stands(self, endpoint: Endpoint) -> bool:
        """The same endpoint, at the same address: a lease may have changed meanwhile."""
        standing = self._core.tables.endpoint(endpoint.network, endpoint.container)
        return standing is not None and (standing.id, standing.ipv4) == (endpoint.id, endpoint.ipv4)
