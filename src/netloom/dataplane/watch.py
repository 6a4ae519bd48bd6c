"""The query log of one network, kept only while somebody reads it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from netloom.dataplane.forwarding import Answer
from netloom.dns import message as m
from netloom.dns.responder import question_of
from netloom.dns.wire import name_text
from netloom.model.names import DnsQuery

OWN = "container"
KEPT = 1000  # queries that wait for the reader; the oldest go first
LASTING = 10.0  # seconds for which queries are recorded after they were last asked for


class Watch:
    """Records queries until `until`, on the loop's clock."""

    def __init__(self) -> None:
        self.until = 0.0
        self.recorded = 0
        self._queries: deque[DnsQuery] = deque(maxlen=KEPT)

    def record(self, sandbox: str, query: bytes, answer: bytes, source: str, took: float) -> None:
        """One that has just been answered."""
        self.recorded += 1
        question = question_of(query)
        name, kind = (name_text(question[:-4]), int.from_bytes(question[-4:-2], "big")) if question else ("", 0)
        rcode = answer[3] & m.RCODE
        self._queries.append(DnsQuery(self.recorded, time.time(), sandbox, name, kind, rcode, source, took))

    def after(self, number: int) -> tuple[DnsQuery, ...]:
        """Those recorded after this one that are still there."""
        return tuple(one for one in self._queries if one.number > number)


def told(watches: tuple[Watch, ...], sandbox: str, query: bytes, answer: Answer, clock: Callable[[], float]) -> Answer:
    """The same callback, which tells the watches too."""
    start = clock()

    def answered(reply: bytes, source: str) -> None:
        for watch in watches:
            watch.record(sandbox, query, reply, source, clock() - start)
        answer(reply, source)

    return answered
