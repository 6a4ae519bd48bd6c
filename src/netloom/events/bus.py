"""Events in order: a back-log of the latest, and live ones for any number of subscribers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping

from netloom.model.event import Event

BACKLOG = 256  # as many as Docker keeps
BUFFER = 1024  # as many as Docker holds for one slow subscriber

Keep = Callable[[Event], bool]


class Bus:
    """Publishes events. Belongs to one event loop; nothing here may be called from another thread.

    Publishing never waits: a subscriber that does not read gets what fits its buffer, then its end.
    """

    def __init__(self, now: Callable[[], int] = time.time_ns, *, backlog: int = BACKLOG, buffer: int = BUFFER) -> None:
        self._now = now
        self._backlog: deque[Event] = deque(maxlen=backlog)
        self._buffer = buffer
        self._last = 0
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def publish(self, type: str, action: str, id: str, attributes: Mapping[str, str], now_ns: int) -> Event:
        """Record and hand out one event; its time is `now_ns`, or just after the event before it if that is later."""
        self._last = max(now_ns, self._last + 1)
        event = Event(type=type, action=action, id=id, attributes=dict(attributes), time_nano=self._last)
        self._backlog.append(event)
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)
        return event

    def subscribe(self, since: int = 0, until: int = 0, keep: Keep | None = None) -> Subscription:
        """Events from now on, and before them the recorded ones if `since` or `until` is given, as Docker does.

        Times are ns since the epoch, inclusive, 0 for none. Subscribed at once, not at the first read.
        """
        subscription = Subscription(self._forget, self._now, until, keep, self._buffer)
        if since or until:
            for event in self._backlog:
                if event.time_nano >= since:
                    subscription.offer(event)
        if self._closed:
            subscription.end()
        else:
            self._subscriptions.add(subscription)
        return subscription

    def close(self) -> None:
        """End every subscription once it has read what it has; later ones end after the back-log."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription.end()

    @property
    def subscribers(self) -> int:
        """How many are subscribed now."""
        return len(self._subscriptions)

    def _forget(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)


class Subscription:
    """An async iterator of events for one reader. `overrun` tells that it ended because the reader was too slow."""

    def __init__(
        self,
        forget: Callable[[Subscription], None],
        now: Callable[[], int],
        until: int,
        keep: Keep | None,
        buffer: int,
    ) -> None:
        self._forget = forget
        self._now = now
        self._until = until
        self._keep = keep
        self._room = buffer
        self._waiting: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self.overrun = False

    def offer(self, event: Event) -> None:
        """Queue an event that this reader wants; too many end the subscription."""
        if self._ended or (self._until and event.time_nano > self._until):
            return
        if self._keep is not None and not self._keep(event):
            return
        if len(self._waiting) >= self._room:
            self.overrun = True
            self.end()
            return
        self._waiting.append(event)
        self._wake.set()

    def end(self) -> None:
        """No further events; those that wait are still read."""
        self._ended = True
        self._forget(self)
        self._wake.set()

    async def aclose(self) -> None:
        """Unsubscribe and drop what waits. A reader that waits gets the end."""
        self._waiting.clear()
        self.end()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            await self._sleep()
        return self._waiting.popleft()

    async def _sleep(self) -> None:
        """Until something is queued, the subscription ends, or `until` has come."""
        self._wake.clear()
        if not self._until:
            await self._wake.wait()
            return
        left = self._until - self._now()
        if left < 0:
            self.end()
            return
        try:
            # one millisecond more than is left: the loop's clock is not the one that stamps events
            await asyncio.wait_for(self._wake.wait(), left / 1e9 + 0.001)
        except TimeoutError:
            return
