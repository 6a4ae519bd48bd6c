"""What policies make of each network and endpoint: the engine's snapshot of who is who. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from netloom.drivers.bridge import link_local
from netloom.drivers.bridge_options import closes
from netloom.engine.tables import Tables
from netloom.model.desired import Bridge, Desired, Element, HostFacts
from netloom.model.endpoint import Endpoint
from netloom.model.network import Network, Status
from netloom.model.policy import Policy
from netloom.policy.elements import (
    crossing_elements,
    endpoint_elements,
    network_elements,
    outer_elements,
    pair_elements,
)
from netloom.policy.judge import Judge, Place
from netloom.policy.relayed import Relayed, closed_elements, relayed_elements
from netloom.policy.rulebook import NOBODY, Choice, Pair, Rulebook, Subject, identity


class PolicyState:
    """`known` are the identities of which the kernel knows what is said: those of endpoints that stand or come."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.stored: dict[str, Policy] = {}
        self.book = Rulebook()
        self.known: dict[int, Choice] = {}
        self._numbers: dict[str, int] = {}  # of endpoints that somebody chooses, by id
        self._holders: dict[int, set[str]] = {}  # the same, by identity
        self._said: list[Pair] | None = None

    def become(self, book: Rulebook, endpoints: Iterable[Endpoint]) -> None:
        """Another rulebook, and the identities of those endpoints alone."""
        self.book = book
        self.known = {}
        self._numbers = {}
        self._holders = {}
        self._said = None
        for endpoint in endpoints:
            self._know(endpoint)

    def choice(self, endpoint: Endpoint) -> Choice:
        """The selectors that choose an endpoint."""
        container = self._tables.containers.get(endpoint.container)
        network = self._tables.networks[endpoint.network]
        if container is None or not _within_host(network):
            return NOBODY
        return self.book.choice(Subject(container.id, container.name, container.config.labels, network.name))

    def endpoint(self, endpoint: Endpoint) -> list[Element]:
        """Who an endpoint is, and what clients of the relay reach there."""
        found = self._relayed_closed(endpoint)
        if not self.book.policies:
            return found
        number = identity(self.choice(endpoint))
        found += endpoint_elements(number, self._addresses(endpoint))
        return found + relayed_elements(number, *_plain(endpoint), endpoint.ports)

    def closed_relayed(self, endpoints: Iterable[Endpoint]) -> dict[Element, str]:
        """Of which networks the elements speak that close them to clients of the relay."""
        networks = self._tables.networks
        return {e: networks[one.network].name for one in endpoints for e in self._relayed_closed(one)}

    def _relayed_closed(self, endpoint: Endpoint) -> list[Element]:
        network = self._tables.networks[endpoint.network]
        if not endpoint.ports or not _within_host(network):
            return []
        closed, trial = self.closed(network)
        return closed_elements(*_plain(endpoint), endpoint.ports, closed=closed, trial=trial)

    def _addresses(self, endpoint: Endpoint) -> Iterable[str]:
        """All that it may send from, without prefix length."""
        own = [*_plain(endpoint), *(a.partition("/")[0] for a in endpoint.link_local), *endpoint.further]
        if self._tables.networks[endpoint.network].ipv6:
            own.append(link_local(endpoint.mac))  # or neighbours would reach each other by it, as nobody
        return dict.fromkeys(filter(None, own))

    def network(self, network: Network, wanted: list[Desired]) -> list[Desired]:
        """What a driver wants of a network, and what policies do."""
        if not _within_host(network):
            return wanted
        closed, trial = self.closed(network)
        if not closed and not self.book.policies:
            return wanted
        # Frames between its ports pass the IP hooks from now on, whatever the host's own switch says.
        hooked = [msgspec.structs.replace(o, hooked=True) if isinstance(o, Bridge) else o for o in wanted]
        hooked += network_elements(network.bridge, closed=closed, trial=trial)
        if self.book.crossings:
            standing = (n for n in self._tables.networks.values() if _within_host(n) and n.status is Status.READY)
            others = {n.name: n.bridge for n in standing}
            hooked += crossing_elements(self.book, network.name, network.bridge, others)
        return hooked

    def closed(self, network: Network) -> tuple[bool, bool]:
        """Does nothing pass there that no policy allows? And in a dry run?"""
        closed = closes(network.options) or network.name in self.book.closed(trial=False)
        return closed, network.name in self.book.closed(trial=True)

    def stands(self) -> list[Desired]:
        """What belongs to no single network or endpoint."""
        if not self.book.policies:
            return []
        return [*pair_elements(self._pairs()), *outer_elements(self.book)]

    def coming(self, endpoints: Iterable[Endpoint]) -> list[Element]:
        """What is said of identities that come with these endpoints, known from now on."""
        new = {number for endpoint in endpoints if (number := self._know(endpoint))}
        return list(pair_elements(self.book.pairs(self.known, new))) if new else []

    def leaving(self, endpoints: Iterable[Endpoint]) -> list[Element]:
        """What is said of identities that nobody has any more when these endpoints have gone."""
        gone = set()
        for endpoint in endpoints:
            number = self._numbers.pop(endpoint.id, 0)
            if number:
                holders = self._holders[number]
                holders.discard(endpoint.id)
                if not holders:
                    gone.add(number)
        if not gone:
            return []
        unsaid = list(pair_elements(self.book.pairs(self.known, gone)))
        for number in gone:
            del self._holders[number], self.known[number]
        self._said = None
        return unsaid

    def attribution(self) -> Mapping[Element, tuple[str, ...]]:
        """Elements that count, and which entries they come from."""
        return pair_elements(self._pairs())

    def judge(self, facts: HostFacts, of: Collection[str] = ()) -> Judge:
        """A snapshot that needs nothing of us any more; with `of` for connections between those addresses alone."""
        tables = self._tables
        places: dict[str, Place] = {}
        relayed = Relayed()  # whoever they are: a port of the host says nothing of whom it leads to
        host = set(facts.addresses)
        closed = {n.name for n in tables.networks.values() if _within_host(n) and self.closed(n)[0]}
        for network in tables.networks.values():
            if not _within_host(network):
                continue
            host |= {pool.gateway for pool in network.pools}
            for endpoint in tables.endpoints_on(network.id):
                relayed.add(next(filter(None, _plain(endpoint)), ""), endpoint.ports)
                if of and not any(address in of for address in self._addresses(endpoint)):
                    continue
                choice = self.choice(endpoint)
                named = tuple((rule.allow, rule.ports) for rule in self.book.names(choice))
                for address in self._addresses(endpoint):
                    places[address] = Place(identity(choice), network.name, named)
        return Judge(self.book, self._pairs(), places, closed, host, relayed)

    def _pairs(self) -> list[Pair]:
        if self._said is None:
            self._said = self.book.pairs(self.known)
        return self._said

    def _know(self, endpoint: Endpoint) -> int:
        """Its identity, if it is a new one; else 0."""
        choice = self.choice(endpoint) if self.book.policies else NOBODY
        number = identity(choice)
        if not number or endpoint.id in self._numbers:
            return 0
        self._numbers[endpoint.id] = number
        self._holders.setdefault(number, set()).add(endpoint.id)
        if number in self.known:
            return 0
        self.known[number] = choice
        self._said = None
        return number


def _within_host(network: Network) -> bool:
    """Is it a bridge on which this host is the router? Containers of a LAN are machines elsewhere, known by CIDR."""
    return bool(network.bridge) and not network.lan


def _plain(endpoint: Endpoint) -> tuple[str, str]:
    """Its addresses without prefix length."""
    return endpoint.ipv4.partition("/")[0], endpoint.ipv6.partition("/")[0]
