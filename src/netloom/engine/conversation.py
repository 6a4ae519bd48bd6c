"""One conversation with the DHCP servers of a LAN: what is sent again and when, and how long it is waited for.

The rules of the protocol are `dhcp.exchange`'s; a link and a time to wait are all that is added here.
"""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address

from netloom.dhcp.exchange import Exchange, Identity, State, farewell
from netloom.dhcp.frame import ALL, ANY, EVERYBODY, ArpSeen, Datagram, datagram, probe
from netloom.dhcp.message import DECLINE, Message
from netloom.engine.dhcp_ports import DhcpPort

_FIRST, _LONGEST = 1.0, 8.0  # seconds until a message is said again, doubled each time
_GRACE = 2.0  # seconds in which another server may do better than the one that was not to be used
_PROBES, _PROBE = 2, 0.15  # how often and how long (seconds) a neighbour is asked who might have the address
_CONFLICTS = 3  # addresses that others have, before we give up


class Conversation:
    """On one link. `seconds` is the time that is left; it is spent by waiting."""

    def __init__(self, port: DhcpPort, exchange: Exchange, identity: Identity, seconds: float) -> None:
        self._port = port
        self._exchange = exchange
        self._identity = identity
        self._left = seconds
        self._patient = True  # nobody has made an offer that could not be used
        self.began = 0.0  # seconds before the end of `run` at which the message was sent that was granted
        self.server_mac = b""

    async def run(self, *, to_mac: bytes = EVERYBODY, server: str = "") -> bool:
        """Until it is granted, refused, or the time is over; granted? `to_mac` and `server`: not to all but to one."""
        exchange = self._exchange
        pause, spent = _FIRST, 0.0
        while not exchange.over and self._left > 0:
            self._say(exchange.send(round(spent)), to_mac, server)
            waiting = self._left
            former = exchange.state
            await self._hear(min(pause, self._left))
            spent += waiting - self._left
            if exchange.state is former:
                pause = min(pause * 2, _LONGEST)
            elif exchange.state is State.SELECTING:  # an offer that came to nothing: not at once again
                await self._wait(pause)
            else:
                pause = _FIRST
        return exchange.state is State.GRANTED

    async def unique(self, address: str) -> bool:
        """Has nobody on the link this address? One who has it is told of to the server, and the offers begin anew."""
        wanted = IPv4Address(address).packed
        for _ in range(_PROBES):
            self._port.send(probe(self._port.mac, wanted))
            owner = await self._owner(wanted, _PROBE)
            if owner:
                self._decline(address, owner)
                return False
        return True

    def _decline(self, address: str, owner: bytes) -> None:
        exchange, terms = self._exchange, self._exchange.terms
        server = terms.server if terms else ""
        if server:
            self._say(farewell(self._identity, exchange.xid, DECLINE, address, server), EVERYBODY, "")
        exchange.again(f"the server {server} gives {address}, which {owner.hex(':')} on its LAN uses already")

    async def settle(self) -> bool:
        """`run`, and again where the address is somebody else's. Granted, and nobody's?"""
        for _ in range(_CONFLICTS):
            if not await self.run():
                return False
            terms = self._exchange.terms
            assert terms is not None
            if await self.unique(terms.address.partition("/")[0]):
                return True
            await self._wait(_FIRST)
        return False

    async def _hear(self, seconds: float) -> None:
        """Until the conversation goes on, or so long."""
        exchange = self._exchange
        while seconds > 0:
            seen, took = await self._receive(seconds)
            seconds -= took
            if seen is None:
                return
            if not isinstance(seen, Datagram):
                continue
            if exchange.take(seen.data):
                self.server_mac = seen.mac
                return
            if exchange.complaint and exchange.state is State.SELECTING and self._patient:
                self._patient = False
                self._left = min(self._left, _GRACE)
                seconds = min(seconds, self._left)

    async def _owner(self, wanted: bytes, seconds: float) -> bytes:
        """Who says to have it, or asks for it as we do (RFC 5227, section 2.1.1); empty: nobody."""
        while seconds > 0:
            seen, took = await self._receive(seconds)
            seconds -= took
            if seen is None:
                break
            if not isinstance(seen, ArpSeen) or seen.mac == self._port.mac:
                continue
            if seen.sender == wanted or (seen.sender == ANY and seen.target == wanted):
                return seen.mac
        return b""

    async def _receive(self, seconds: float) -> tuple[Datagram | ArpSeen | None, float]:
        """What came, and how much of the time that took: all of it where nothing came."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        seen = await self._port.receive(seconds)
        took = seconds if seen is None else min(seconds, loop.time() - start)
        self._left -= took
        return seen, took

    async def _wait(self, seconds: float) -> None:
        """Nothing that comes meanwhile counts."""
        seconds = min(seconds, self._left)
        while seconds > 0:
            seconds -= (await self._receive(seconds))[1]

    def _say(self, message: Message, to_mac: bytes, server: str) -> None:
        target = IPv4Address(server).packed if server else ALL
        self._port.send(datagram(self._port.mac, to_mac, message.client, target, message.encode()))
