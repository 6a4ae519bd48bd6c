"""One question carried to servers outside: what to send when, and which answer counts. No socket, no clock.

Servers are asked one after another, each half a second after the one before or as soon as that one has failed; the
ones asked before may still answer. What counts as an answer repeats id and question and comes from a server that was
asked (RFC 5452, section 9; its own socket for each attempt sees to the address and the port). After SERVFAIL and
REFUSED the next one is asked, as Docker does; they tell of the name, not of the server, and are not reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from netloom.dns import message as m
from netloom.dns.cache import folded
from netloom.dns.responder import Forward, question_of

PATIENCE = 0.5  # seconds before the next server is asked as well
DEADLINE = 6.0  # seconds for the whole exchange
ROUNDS = 2  # times that each server is asked over UDP: a packet may be lost


class Ask(Struct, frozen=True):
    """Send `query` to `server` by a socket of its own; what comes back is reported under `attempt`."""

    attempt: int
    server: int  # index
    tcp: bool
    query: bytes


class Wake(Struct, frozen=True):
    """Call `woken(attempt)` in so many seconds. (`expired` comes DEADLINE seconds after `start`, unasked.)"""

    seconds: float
    attempt: int


class Finish(Struct, frozen=True):
    """The exchange is over: close every socket, forget the timers. `answer` None: nobody answered."""

    answer: bytes | None  # as it came: under our id
    server: int | None  # who answered


class Report(Struct, frozen=True):
    """A server did not serve, or not in time."""

    server: int


Command: TypeAlias = Ask | Wake | Finish | Report


class Exchange:
    """`servers` is how many there are, asked in this order; `ident` a random id of 16 bits."""

    def __init__(self, forward: Forward, servers: int, ident: int, *, tcp: bool) -> None:
        self._question = folded(forward.question)
        self._ident = ident.to_bytes(2, "big")
        self._query = self._ident + forward.query[2:]
        self._plan = [(server, tcp) for server in range(servers)] * (1 if tcp else ROUNDS)
        self._asked: list[tuple[int, bool]] = []
        self._open: set[int] = set()
        self._failed: set[int] = set()
        self._cut: bytes | None = None  # a truncated answer, kept in case that nobody has a whole one
        self._cut_from = 0
        self._done = False

    def start(self) -> Sequence[Command]:
        """Ask the first server."""
        if not self._plan:
            return self._give_up()
        return self._next()

    def woken(self, attempt: int) -> Sequence[Command]:
        """A `Wake` has come to its end: ask the next server too, unless the attempt failed and that was done then."""
        if self._done or attempt in self._failed or not self._plan:
            return ()
        return (Report(self._asked[attempt][0]), *self._next())

    def expired(self) -> Sequence[Command]:
        """The deadline has passed."""
        if self._done:
            return ()
        silent = dict.fromkeys(self._asked[attempt][0] for attempt in self._open)
        return (*map(Report, silent), *self._give_up())

    def failed(self, attempt: int) -> Sequence[Command]:
        """The socket of an attempt reported an error, or its stream ended."""
        return self._over(attempt, silent=True)

    def _over(self, attempt: int, *, silent: bool) -> Sequence[Command]:
        if self._done or attempt not in self._open:
            return ()
        self._open.discard(attempt)
        self._failed.add(attempt)
        server, tcp = self._asked[attempt]
        if tcp and self._cut is not None and self._cut_from == server:
            return self._finish(self._cut, server)  # it has no TCP: the client gets what there is
        return (*((Report(server),) if silent else ()), *self._onward())

    def received(self, attempt: int, data: bytes) -> Sequence[Command]:
        """Bytes came back to an attempt. What is no answer to our question is passed over in silence."""
        if self._done or attempt not in self._open or not self._answers(data):
            return ()
        server, tcp = self._asked[attempt]
        if data[3] & m.RCODE in (m.SERVFAIL, m.REFUSED):
            return self._over(attempt, silent=False)
        if data[2] & (m.TC >> 8) and not tcp and self._cut is None:
            self._cut, self._cut_from = data, server
            self._open.discard(attempt)
            return (self._ask(server, tcp=True),)
        return self._finish(data, server)

    def _answers(self, data: bytes) -> bool:
        if len(data) < m.HEADER_SIZE or data[:2] != self._ident or not data[2] & 0x80:
            return False
        question = question_of(data)
        if question is None:  # some servers refuse with a header alone
            return data[4:6] == b"\0\0" and data[3] & m.RCODE != m.NOERROR
        return folded(question) == self._question

    def _onward(self) -> Sequence[Command]:
        """After a failure: the next one at once, or the end when nobody is left who could answer."""
        if self._plan:
            return self._next()
        return () if self._open else self._give_up()

    def _next(self) -> Sequence[Command]:
        ask = self._ask(*self._plan.pop(0))
        return (ask, Wake(PATIENCE, ask.attempt)) if self._plan else (ask,)

    def _ask(self, server: int, tcp: bool) -> Ask:
        attempt = len(self._asked)
        self._asked.append((server, tcp))
        self._open.add(attempt)
        return Ask(attempt, server, tcp, self._query)

    def _give_up(self) -> Sequence[Command]:
        if self._cut is not None:
            return self._finish(self._cut, self._cut_from)
        self._done = True
        return (Finish(None, None),)

    def _finish(self, data: bytes, server: int) -> Sequence[Command]:
        self._done = True
        return (Finish(data, server),)
