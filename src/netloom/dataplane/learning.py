"""Names that policies speak of: what they were answered with is known to the firewall before the container is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address

from netloom.dataplane.forwarding import Answer
from netloom.dns import message as m
from netloom.dns.rdata.a import A
from netloom.dns.rdata.aaaa import AAAA
from netloom.dns.wire import WireError, name_text
from netloom.kernel.learnt import Learnt, LearntNames
from netloom.model.errors import NetloomError
from netloom.model.names import Resolver
from netloom.model.policy import NameRule

_log = logging.getLogger(__name__)
_MOST = 4096  # of one sandbox at a time; beyond, the oldest are forgotten here and go by their timeout


class Learning:
    """What one sandbox has learnt. `rules` and `senders` (its addresses) may be replaced at any time."""

    def __init__(self, names: LearntNames, clock: Callable[[], float]) -> None:
        self._names = names
        self._clock = clock
        self.rules: tuple[NameRule, ...] = ()
        self.senders: tuple[str, ...] = ()
        self._until: dict[Learnt, float] = {}
        self._left = False

    def configure(self, resolver: Resolver) -> None:
        """What a resolver that comes or changes says of names; what went to an address of the past is forgotten."""
        self.rules, self.senders = resolver.names, resolver.senders
        self._forget([one for one, _ in self.standing if one.source not in self.senders])

    def before(self, answer: Answer) -> Answer:
        """The same callback, which is called when the firewall knows."""

        def answered(reply: bytes, source: str) -> None:
            self._learn(reply)
            answer(reply, source)

        return answered

    @property
    def standing(self) -> tuple[tuple[Learnt, float], ...]:
        """What the firewall knows, and until when on the loop's clock: the whole host's, a successor has the same."""
        now = self._clock()
        return tuple((one, until) for one, until in self._until.items() if until > now)

    def adopt(self, learnt: Iterable[tuple[Learnt, float]]) -> None:
        """What a predecessor told the firewall: it goes with the sandbox."""
        self._until.update(learnt)

    def leave(self) -> None:
        """A successor has it all: what the firewall knows stays when this closes."""
        self._left = True

    def close(self) -> None:
        """The sandbox has ended: its address may be another's soon."""
        if not self._left:
            self._forget([one for one, _ in self.standing])

    def _forget(self, learnt: list[Learnt]) -> None:
        for one in learnt:
            del self._until[one]
        if learnt:
            self._try(lambda: self._names.forget(learnt))

    def _learn(self, reply: bytes) -> None:
        try:
            message = m.decode(reply)
        except WireError:
            return
        if not message.questions:
            return
        asked = name_text(message.questions[0].name).lower().removesuffix(".")
        rules = [rule for rule in self.rules if matches(rule.pattern, asked)]
        if not rules:
            return
        for record in message.answers:
            if isinstance(record.data, A | AAAA):
                learnt = list(self._meant(rules, str(record.data)))
                self._keep(learnt, max(1, record.ttl))

    def _meant(self, rules: list[NameRule], target: str) -> Iterator[Learnt]:
        address = ip_address(target)
        for sender in self.senders:
            if ip_address(sender).version != address.version:
                continue
            for rule in rules:
                for proto, port in rule.ports or (("", 0),):
                    yield Learnt(rule.allow, sender, str(address), proto, port)

    def _keep(self, learnt: list[Learnt], ttl: int) -> None:
        if not learnt:
            return
        self._try(lambda: self._names.put(learnt, ttl))
        until = self._clock() + ttl
        for one in learnt:
            self._until.pop(one, None)
            self._until[one] = until
        while len(self._until) > _MOST:
            del self._until[next(iter(self._until))]

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except NetloomError as error:  # the container is answered; what follows is judged without the name
            _log.error("the firewall does not learn a name: %s", error)


def matches(pattern: str, name: str) -> bool:
    """Is it the name, or below what follows `*.`?"""
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and len(name) > len(pattern) - 1
    return name == pattern
