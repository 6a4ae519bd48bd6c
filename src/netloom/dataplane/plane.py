"""All that the data plane holds, and every operation on it. Knows no daemon: `control` puts this behind a socket."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Collection, Iterable, Sequence

from netloom.dataplane.bound import BoundSockets
from netloom.dataplane.forwarding import Forwarder, Outside
from netloom.dataplane.holding import Holding
from netloom.dataplane.learning import Learning
from netloom.dataplane.loop import EventLoop
from netloom.dataplane.register import Key
from netloom.dataplane.relays import Relays
from netloom.dataplane.resolver import ResolverSockets
from netloom.dataplane.sandbox_sockets import Home, Packets
from netloom.dataplane.streams import Ends, Streams
from netloom.dataplane.tapped import TappedSockets
from netloom.dataplane.watch import LASTING, Watch
from netloom.dns.responder import Responder
from netloom.dns.view import Pairs
from netloom.dns.zone import Zones
from netloom.kernel.learnt import Learnt, LearntNames
from netloom.model.errors import Failed, NetloomError, NotFound
from netloom.model.names import DataPlaneState, DnsSight, HeldPort, NameEntry, Relay, Resolver, Upstream

_log = logging.getLogger(__name__)

Done = Callable[[NetloomError | None], None]
Sight = tuple[tuple[str, ...], Pairs, Pairs]  # networks, links, records


class Sandbox:
    """One sandbox's resolver; `pidfd` is -1 until its process is known."""

    def __init__(self, resolver: Resolver, sockets: ResolverSockets) -> None:
        self.resolver = resolver
        self.sockets = sockets
        self.pid = 0
        self.pidfd = -1


class Plane:
    """Used from the event loop only. Nothing here waits."""

    def __init__(self, loop: EventLoop, *, listener: socket.socket | None = None) -> None:
        self._loop = loop
        self.zones = Zones()
        self.holding = Holding(loop)
        self.relays = Relays(loop, self.holding, listener)
        self.sandboxes: dict[str, Sandbox] = {}
        self._home = Home()
        self._names = LearntNames()
        self.streams = Streams(loop, self._home)
        self._outside = Outside()
        self._watches: dict[str, Watch] = {}  # by network
        self._responders: dict[Sight, tuple[Responder, int]] = {}  # with the number of sandboxes that share it

    def open_sandbox(self, sandbox: str, netns: int, pid: int, resolver: Resolver) -> None:
        """Serve 127.0.0.11:53 inside. Open already: only the resolver and the process are taken over."""
        if sandbox not in self.sandboxes:
            try:
                packets = self._home.open_packets(netns)
            except OSError as error:
                raise Failed(f"the resolver of sandbox {sandbox[:12]} cannot be opened: {error}") from error
            self.adopt_packets(sandbox, packets, self.streams.number(), None, resolver)
        else:
            self.set_resolver(sandbox, resolver)
        if pid:
            self.bind_sandbox(sandbox, pid)

    def adopt_packets(self, sandbox: str, packets: Packets, number: int, ends: Ends | None, resolver: Resolver) -> None:
        """Serve on sockets that are there already; `number` is the sandbox's among the streams."""
        forwarder, responder = self._forwarder(packets.raw, resolver), self._responder(resolver)
        learning = self._learning(resolver)
        sockets = TappedSockets(
            self._loop, sandbox, packets, self.streams, number, ends, responder, forwarder, learning
        )
        self._serve(resolver, sockets)

    def adopt_bound(self, sandbox: str, udp: socket.socket, tcp: socket.socket, resolver: Resolver) -> None:
        """Serve on sockets that an earlier version opened."""
        forwarder, responder = self._forwarder(udp, resolver), self._responder(resolver)
        learning = self._learning(resolver)
        self._serve(resolver, BoundSockets(self._loop, sandbox, udp, tcp, responder, forwarder, learning))

    def _serve(self, resolver: Resolver, sockets: ResolverSockets) -> None:
        known = self.sandboxes[sockets.sandbox] = Sandbox(resolver, sockets)
        self._show(known)

    def _forwarder(self, inside: socket.socket, resolver: Resolver) -> Forwarder:
        """The outward side of the resolver of a sandbox that `inside` is in."""

        def opener(upstream: Upstream, family: int, kind: int) -> socket.socket:
            if upstream.from_sandbox:
                return self._home.open_beside(inside, family, kind)
            return self._home.open_here(family, kind)

        return Forwarder(self._loop, opener, self._outside, resolver.upstreams, enabled=resolver.forward)

    def _learning(self, resolver: Resolver) -> Learning:
        learning = Learning(self._names, self._loop.time)
        learning.configure(resolver)
        return learning

    def adopt_learnt(self, sandbox: str, learnt: Iterable[tuple[Learnt, float]]) -> None:
        """What the firewall was told for a sandbox that is here already, and until when."""
        self._known(sandbox).sockets.learning.adopt(learnt)

    def adopt_process(self, sandbox: str, pid: int, pidfd: int) -> None:
        """The sandbox ends with the process of this pidfd, which becomes ours."""
        known = self._known(sandbox)
        self._unbind(known)
        known.pid, known.pidfd = pid, pidfd
        self._loop.add_reader(pidfd, self._ended, sandbox)

    def bind_sandbox(self, sandbox: str, pid: int) -> None:
        """The sandbox ends with this process; one that has ended already ends it now."""
        known = self._known(sandbox)
        if known.pid == pid:
            return
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._ended(sandbox)
            return
        self.adopt_process(sandbox, pid, pidfd)

    def set_resolver(self, sandbox: str, resolver: Resolver) -> None:
        """Replace what the sandbox's resolver knows."""
        known = self._known(sandbox)
        if known.resolver == resolver:
            return
        old, known.resolver = known.resolver, resolver
        known.sockets.responder = self._responder(resolver)
        known.sockets.learning.configure(resolver)
        known.sockets.forwarder.configure(resolver.upstreams, enabled=resolver.forward)
        self._show(known)
        self._let_go(old)

    def close_sandbox(self, sandbox: str, done: Done) -> None:
        """Close its sockets and forget every name and port that belongs to it. Unknown is success."""
        known = self.sandboxes.pop(sandbox, None)
        if known is not None:
            self._unbind(known)
            if known.resolver.lent:
                self._home.give_back(known.sockets.incoming)
            known.sockets.close()
            self._let_go(known.resolver)
        self.zones.drop_sandbox(sandbox)
        self.holding.release(sandbox=sandbox)
        self.relays.release(done, sandbox=sandbox)

    def put_names(self, entry: NameEntry) -> None:
        """Add or replace the names of one endpoint."""
        self.zones.put(entry)

    def drop_names(self, endpoint: str) -> None:
        """Forget them."""
        self.zones.drop(endpoint)

    def hold(self, ports: Sequence[HeldPort]) -> None:
        """Hold all or none."""
        self.holding.hold(ports)

    def relay(self, relays: Sequence[Relay], done: Done) -> None:
        """Relay all or none; calls `done` once they are served, or with the reason why not."""
        self.relays.put(relays, done)

    def release(self, owner: str, only: Collection[Key], done: Done) -> None:
        """Release held and relayed ports of an owner, all or `only` some; calls `done` when anybody can have them."""
        some = frozenset(only)
        self.holding.release(owner=owner, only=some)
        self.relays.release(done, owner=owner, only=some)

    def sight(self, network: str, after: int | None) -> DnsSight:
        """Counts of the sandboxes on a network. Unless `after` is None: the queries recorded after that one too.

        Asking for queries has them recorded for LASTING seconds more.
        """
        on_it = [(name, known) for name, known in self.sandboxes.items() if network in known.resolver.networks]
        counts = tuple((name, known.sockets.counts) for name, known in on_it)
        if after is None:
            return DnsSight(counts)
        watch = self._watches.get(network)
        if watch is None:
            watch = self._watches[network] = Watch()
            self._loop.call_later(LASTING, self._look_away, network)
            for _, known in on_it:
                self._show(known)
        watch.until = self._loop.time() + LASTING
        return DnsSight(counts, watch.after(after), watch.recorded)

    def _look_away(self, network: str) -> None:
        """Nobody has asked for a while: stop recording."""
        left = self._watches[network].until - self._loop.time()
        if left > 0:
            self._loop.call_later(left, self._look_away, network)
            return
        del self._watches[network]
        for known in self.sandboxes.values():
            self._show(known)

    def _show(self, known: Sandbox) -> None:
        """Let those who watch one of its networks see its queries."""
        watches = [self._watches.get(network) for network in known.resolver.networks] if self._watches else []
        known.sockets.watches = tuple(watch for watch in watches if watch is not None)

    def state(self) -> DataPlaneState:
        """What is held now."""
        return DataPlaneState(
            sandboxes=tuple(self.sandboxes),
            entries=tuple(self.zones.entries.values()),
            held=tuple(port for port, _, _ in self.holding.held()),
            relays=self.relays.rows,
            relay_port=self.relays.port,
        )

    def pause(self) -> None:
        """Take in no query until `resume`, and see no sandbox end."""
        self.streams.pause()
        for known in self.sandboxes.values():
            known.sockets.pause()
            if known.pidfd >= 0:
                self._loop.remove_reader(known.pidfd)

    def resume(self) -> None:
        """The end of `pause`."""
        self.streams.resume()
        for sandbox, known in list(self.sandboxes.items()):
            known.sockets.resume()
            if known.pidfd >= 0:
                self._loop.add_reader(known.pidfd, self._ended, sandbox)

    @property
    def busy(self) -> bool:
        """Is a client waiting for an answer?"""
        return any(known.sockets.busy for known in self.sandboxes.values())

    def close(self) -> None:
        """Close everything."""
        for sandbox in list(self.sandboxes):
            self.close_sandbox(sandbox, _ignore)
        self.streams.close()
        self.relays.close()
        self.holding.close()
        self._names.close()
        self._home.close()

    def _known(self, sandbox: str) -> Sandbox:
        known = self.sandboxes.get(sandbox)
        if known is None:
            raise NotFound(f"the data plane does not know sandbox {sandbox[:12]}")
        return known

    def _ended(self, sandbox: str) -> None:
        _log.info("sandbox %s has ended", sandbox[:12])
        self.close_sandbox(sandbox, _ignore)

    def _unbind(self, known: Sandbox) -> None:
        if known.pidfd >= 0:
            self._loop.remove_reader(known.pidfd)
            os.close(known.pidfd)
            known.pidfd, known.pid = -1, 0

    def _responder(self, resolver: Resolver) -> Responder:
        sight = (resolver.networks, resolver.links, resolver.records)
        responder, sharers = self._responders.get(sight) or (Responder(self.zones, *sight), 0)
        self._responders[sight] = (responder, sharers + 1)
        return responder

    def _let_go(self, resolver: Resolver) -> None:
        sight = (resolver.networks, resolver.links, resolver.records)
        responder, sharers = self._responders.pop(sight)
        if sharers > 1:
            self._responders[sight] = (responder, sharers - 1)
        else:
            responder.close()


def _ignore(_: NetloomError | None) -> None:
    """Nobody waits."""
