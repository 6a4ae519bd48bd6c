"""Addresses by DHCP: asked for when an endpoint comes, kept while it stands, given back when it goes.

Each endpoint has a conversation of its own in the event loop, on its own link inside its sandbox: a server that is
silent, dies or lies delays nobody else, and its answers are believed about that endpoint alone. The lease is part
of the endpoint's row; the next daemon finds it there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from ipaddress import IPv4Address

import msgspec

from netloom.dhcp import schedule
from netloom.dhcp.exchange import Exchange, Identity, State, farewell
from netloom.dhcp.frame import datagram
from netloom.dhcp.message import RELEASE
from netloom.dhcp.settings import DhcpOptions, by_dhcp, client_id, gateway, outside
from netloom.drivers.parents import lan_of
from netloom.engine.conversation import Conversation
from netloom.engine.core import Core
from netloom.engine.dhcp_ports import DhcpPort
from netloom.engine.ports import Alarm
from netloom.model.container import Container
from netloom.model.endpoint import Endpoint, EndpointConfig
from netloom.model.errors import Failed, NetloomError, Unavailable
from netloom.model.lease import Lease, Terms
from netloom.model.network import Network

log = logging.getLogger("netloom.engine")

_SECOND = 1_000_000_000
_TRY = 5.0  # seconds that one try to keep a lease may take
_SEARCH = 30 * _SECOND  # between two searches for a new address, where one was lost


class Refused(Failed):
    """The server says that a lease is not ours (any more)."""


Change = Callable[[Container, Endpoint], Coroutine[None, None, None]]


class Leases:
    """Who has which lease; timers and conversations by endpoint."""

    def __init__(self, core: Core, change: Change) -> None:
        """`change` puts an endpoint, whose lane is held, in the place of the one that stands."""
        self._core = core
        self._change = change
        self._claims: dict[str, tuple[str, str]] = {}  # endpoint → LAN and address
        self._alarms: dict[str, Alarm] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changing: set[str] = set()  # endpoints whose change is not to be cut short
        self._closing = False

    async def obtain(self, container: Container, endpoint: Endpoint) -> Endpoint:
        """The endpoint with an address. Its link stands in its sandbox.

        Raises Unavailable where no server answers in time, Failed where none can be believed.
        """
        network = self._core.tables.networks[endpoint.network]
        config = container.networks.get(network.name)
        asked = _asked(config)
        hint = asked or (config.leased if config else "")
        options = DhcpOptions.parse(network.ipam_options or {})
        check = partial(self._unusable, network, endpoint, asked)
        try:
            lease = await self._ask(container, endpoint, State.SELECTING, check, float(options.timeout), hint)
        except BaseException:
            self._claims.pop(endpoint.id, None)
            raise
        return self.granted(network, endpoint, lease)

    def granted(self, network: Network, endpoint: Endpoint, lease: Lease) -> Endpoint:
        """The endpoint on the terms of a lease."""
        return msgspec.structs.replace(
            endpoint,
            ipv4=lease.terms.address,
            gateway4="" if network.internal else gateway(network, lease.terms),
            lease=lease,
        )

    def keep(self, endpoint: Endpoint) -> None:
        """From now on its lease is renewed."""
        lease = endpoint.lease
        if lease is None or endpoint.sandbox not in self._core.sandboxes:
            return
        # The kernel keeps time as well: an address does not outlive its lease, whatever becomes of the daemon.
        left = schedule.left(lease, self._core.clock.now())
        namespace = self._core.sandboxes[endpoint.sandbox]
        self._core.worker.post(
            lambda kernel, _: kernel.limit_address(namespace, endpoint.inner_index, endpoint.ipv4, left)
        )
        if (due := schedule.due(lease)) is not None:
            self._at(endpoint, due)

    def restore(self, endpoint: Endpoint) -> None:
        """It has its lease from an earlier daemon."""
        if endpoint.lease is not None:
            self._claims[endpoint.id] = (self._lan(endpoint), _plain(endpoint.ipv4))

    def resume(self, endpoint: Endpoint) -> None:
        """Is the lease of an earlier daemon still ours (RFC 2131, section 3.2)? Who has none looks for one."""
        self._begin(endpoint, again=True)

    def give_back(self, endpoint: Endpoint) -> None:
        """The server is told, once; nobody waits for it. Without a lease nothing happens."""
        alarm, task = self._alarms.pop(endpoint.id, None), self._tasks.pop(endpoint.id, None)
        if alarm is not None:
            alarm.cancel()
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        if self._claims.pop(endpoint.id, None) is None or endpoint.lease is None:
            return
        network, lease = self._core.tables.networks[endpoint.network], endpoint.lease
        identity = Identity(bytes.fromhex(lease.mac), client_id(network.id, endpoint.container))
        address, server = _plain(endpoint.ipv4), lease.terms.server
        told = farewell(identity, self._xid(), RELEASE, address, server)
        # Out of the host's side of the LAN: the sandbox may have gone already.
        frame = datagram(identity.mac, bytes.fromhex(lease.server_mac), *_packed(address, server), told.encode())
        link = lan_of(network)
        self._core.worker.post(lambda kernel, _: kernel.send_frame(link, frame))

    async def close(self) -> None:
        """Leases stay as they are; the next daemon takes them up. What is changing just now changes to its end."""
        self._closing = True
        for alarm in self._alarms.values():
            alarm.cancel()
        tasks = dict(self._tasks)
        for key, task in tasks.items():
            if key not in self._changing:
                task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    def _at(self, endpoint: Endpoint, moment: int) -> None:
        if former := self._alarms.pop(endpoint.id, None):
            former.cancel()
        if self._closing:
            return
        delay = max(0, moment - self._core.clock.now())
        self._alarms[endpoint.id] = self._core.clock.after(delay, lambda: self._begin(endpoint))

    def _begin(self, endpoint: Endpoint, *, again: bool = False) -> None:
        self._alarms.pop(endpoint.id, None)
        if endpoint.id in self._tasks:
            return
        task = asyncio.get_running_loop().create_task(self._step(endpoint, again))
        self._tasks[endpoint.id] = task
        task.add_done_callback(partial(self._done, endpoint.id))

    def _done(self, key: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._core.complain("a lease could not be kept", error)

    async def _step(self, endpoint: Endpoint, again: bool) -> None:
        """Whatever is due for an endpoint, and the timer for what comes next."""
        standing = self._standing(endpoint)
        if standing is None:
            return
        container = self._core.tables.containers[standing.container]
        try:
            if standing.lease is None:
                await self._search(container, standing)
            else:
                await self._extend(container, standing, standing.lease, again)
        except ProcessLookupError:
            return  # its end is on the way to us
        except (NetloomError, OSError) as error:
            self._core.complain("a lease could not take effect", error)
            self._at(standing, self._core.clock.now() + _SEARCH)

    async def _extend(self, container: Container, endpoint: Endpoint, lease: Lease, again: bool) -> None:
        core = self._core
        now = core.clock.now()
        if not again and schedule.over(lease, now):
            await self._lose(container, endpoint, Unavailable("its time is over, and no server has answered"))
            return
        state = State.REBOOTING if again else schedule.asks(lease, now)
        network = core.tables.networks[endpoint.network]
        check = partial(self._unusable, network, endpoint, _asked(container.networks.get(network.name)))
        try:
            renewed = await self._ask(container, endpoint, state, check, _TRY, _plain(endpoint.ipv4), lease)
        except Refused as error:
            await self._lose(container, endpoint, error)
        except ProcessLookupError:
            raise
        except (NetloomError, OSError) as error:
            now = core.clock.now()
            if schedule.over(lease, now):
                await self._lose(container, endpoint, error)
            else:
                log.warning("a lease was not renewed", extra={"container": container.name, "error": str(error)})
                due = schedule.due(lease)
                self._at(endpoint, due if due is not None and due > now else schedule.again(lease, now))
        else:
            await self._settle(container, self.granted(network, endpoint, renewed))

    async def _search(self, container: Container, endpoint: Endpoint) -> None:
        """A new address for one that was lost."""
        try:
            found = await self.obtain(container, endpoint)
        except ProcessLookupError:
            raise
        except (NetloomError, OSError) as error:
            log.warning("no new address", extra={"container": container.name, "error": str(error)})
            self._at(endpoint, self._core.clock.now() + _SEARCH)
        else:
            await self._settle(container, found)

    async def _settle(self, container: Container, wanted: Endpoint) -> None:
        """What a server has granted takes effect, if the endpoint still stands."""
        async with self._core.lanes.hold(container.id):
            standing = self._standing(wanted)
            if standing is None:
                return
            same = standing.ipv4 == wanted.ipv4
            now = msgspec.structs.replace(standing, ipv4=wanted.ipv4, gateway4=wanted.gateway4, lease=wanted.lease)
            await self._put(now)
            if not same:
                self._tell(now, "changed", "")
        self.keep(now)

    async def _lose(self, container: Container, endpoint: Endpoint, why: Exception) -> None:
        """The address is no more ours: it goes at once, and another is looked for."""
        async with self._core.lanes.hold(container.id):
            standing = self._standing(endpoint)
            if standing is None:
                return
            self._claims.pop(endpoint.id, None)
            bare = msgspec.structs.replace(standing, ipv4="", gateway4="", lease=None)
            await self._put(bare)
            self._tell(standing, "lost", str(why))
        await self._search(container, bare)

    async def _put(self, endpoint: Endpoint) -> None:
        self._changing.add(endpoint.id)
        try:
            await self._change(self._core.tables.containers[endpoint.container], endpoint)
        finally:
            self._changing.discard(endpoint.id)

    def _tell(self, endpoint: Endpoint, what: str, why: str) -> None:
        network = self._core.tables.networks[endpoint.network]
        told = {"address": _plain(endpoint.ipv4), "state": what, **({"reason": why} if why else {})}
        log.warning("a lease was " + what, extra={"network": network.name, "container": endpoint.container, **told})
        self._core.publish(
            "network", "lease", network.id, container=endpoint.container, name=network.name, type=network.driver, **told
        )

    async def _ask(
        self,
        container: Container,
        endpoint: Endpoint,
        state: State,
        check: Callable[[Terms], str],
        seconds: float,
        address: str,
        lease: Lease | None = None,
    ) -> Lease:
        """One conversation. Raises Unavailable when nobody answers, Failed for a refusal or what cannot be believed."""
        core = self._core
        network = core.tables.networks[endpoint.network]
        xid = self._xid()
        port: DhcpPort = await core.dhcp.open(core.sandboxes[endpoint.sandbox], endpoint.inner_index, xid)
        try:
            options = DhcpOptions.parse(network.ipam_options or {})
            name = container.config.hostname if options.hostname else ""
            identity = Identity(port.mac, client_id(network.id, container.id), name)
            server = lease.terms.server if lease else ""
            exchange = Exchange(identity, xid, check, state=state, address=address, server=server, only=options.servers)
            talk = Conversation(port, exchange, identity, seconds)
            began = core.clock.now()
            if state is State.SELECTING:
                done = await talk.settle()
            elif state is State.RENEWING and lease is not None:
                done = await talk.run(to_mac=bytes.fromhex(lease.server_mac), server=server)
            else:
                done = await talk.run()
            if not done or exchange.terms is None:
                raise self._failure(network, endpoint, exchange, seconds)
            return Lease(terms=exchange.terms, began=began, mac=port.mac.hex(), server_mac=talk.server_mac.hex())
        finally:
            await port.close()

    def _failure(self, network: Network, endpoint: Endpoint, exchange: Exchange, seconds: float) -> NetloomError:
        container = self._core.tables.containers[endpoint.container]
        sentence = f"no address by DHCP for container {container.name} on network {network.name} ({endpoint.id[:12]}): "
        link = lan_of(network)
        if exchange.state is State.REFUSED:
            return Refused(sentence + exchange.complaint)
        if exchange.complaint:
            remedy = f"see to the DHCP servers on {link}, or name the ones to believe (--ipam-opt server=ADDRESS)"
            return Failed(sentence + exchange.complaint, remedy=remedy)
        return Unavailable(
            f"{sentence}no server answered on {link} within {seconds:g} s",
            remedy="see that a DHCP server is on that LAN, and that it lets further MAC addresses in; or create the"
            " network with a --subnet and without --ipam-driver dhcp",
        )

    def _unusable(self, network: Network, endpoint: Endpoint, asked: str, terms: Terms) -> str:
        """Why terms are not for this endpoint, completing "the server …". Else the address is held for it."""
        if reason := outside(network, terms, asked):
            return reason
        address, lan = _plain(terms.address), lan_of(network)
        if address in self._core.facts.addresses:
            return f"offers {address}, which is an address of the host itself"
        if holder := self._holder(endpoint, lan, address):
            return f"offers {address}, which {holder} has already"
        self._claims[endpoint.id] = (lan, address)
        return ""

    def _holder(self, endpoint: Endpoint, lan: str, address: str) -> str:
        """Who on a LAN has an address, or is about to; empty: nobody of ours but the endpoint itself."""
        tables = self._core.tables
        for network in tables.networks.values():
            if network.config_only or lan_of(network) != lan:
                continue
            for other in tables.endpoints_on(network.id):
                if other.id != endpoint.id and _plain(other.ipv4) == address:
                    return f"container {tables.containers[other.container].name}"
        coming = any(claim == (lan, address) and key != endpoint.id for key, claim in self._claims.items())
        return "another container" if coming else ""

    def _standing(self, endpoint: Endpoint) -> Endpoint | None:
        """The endpoint as it stands now, None where it has gone."""
        now = self._core.tables.endpoint(endpoint.network, endpoint.container)
        return now if now is not None and now.id == endpoint.id else None

    def _lan(self, endpoint: Endpoint) -> str:
        return lan_of(self._core.tables.networks[endpoint.network])

    def _xid(self) -> int:
        return int.from_bytes(self._core.random(4), "big")


def leased(network: Network, endpoint: Endpoint) -> bool:
    """Does it wait for an address from a server?"""
    return by_dhcp(network) and endpoint.lease is None


def _asked(config: EndpointConfig | None) -> str:
    """The address that the user chose, empty for none."""
    return config.ipam.ipv4 if config and config.ipam else ""


def _plain(address: str) -> str:
    return address.partition("/")[0]


def _packed(*addresses: str) -> tuple[bytes, bytes]:
    source, target = (IPv4Address(address).packed for address in addresses)
    return source, target
