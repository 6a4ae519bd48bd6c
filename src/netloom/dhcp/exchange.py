"""The client's side of one conversation with DHCP servers (RFC 2131, sections 3 and 4.4); neither sockets nor clock.

    SELECTING   DISCOVER → offers → REQUESTING
    REQUESTING  REQUEST of what was offered → granted
    REBOOTING   REQUEST of what we had before → granted, or refused
    RENEWING    REQUEST of more time, to our server; REBINDING to any → granted, or refused

`send` gives the message for now, as often as it is asked; `take` hears an answer. What cannot be used is not taken,
and `complaint` says why: another server, or the same one later, may do better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from ipaddress import IPv4Address

from msgspec import Struct

from netloom.dhcp import message as m
from netloom.dhcp.message import Malformed, Message
from netloom.dhcp.terms import Unusable, address_of, terms_of
from netloom.model.lease import Terms

_ASKED = bytes((m.SUBNET_MASK, m.ROUTER, m.NAME_SERVER, m.DOMAIN_NAME, m.MTU, m.STATIC_ROUTES, m.CLASSLESS_ROUTES))
_ASKED += bytes((m.LEASE_TIME, m.SERVER, m.T1, m.T2))

Check = Callable[[Terms], str]  # why these terms cannot be used, completing "the server …"; empty: they can


class State(StrEnum):
    """Where the conversation stands."""

    SELECTING = "selecting"
    REQUESTING = "requesting"
    REBOOTING = "rebooting"
    RENEWING = "renewing"
    REBINDING = "rebinding"
    GRANTED = "granted"
    REFUSED = "refused"


class Identity(Struct, frozen=True):
    """Who asks: the same after every restart but for the MAC."""

    mac: bytes
    client_id: bytes
    hostname: str = ""


class Exchange:
    """One conversation: begin in SELECTING, REBOOTING, RENEWING or REBINDING."""

    def __init__(
        self,
        identity: Identity,
        xid: int,
        check: Check,
        *,
        state: State,
        address: str = "",
        server: str = "",
        only: Sequence[str] = (),
    ) -> None:
        """`address`, without prefix length: what we have, had or would like. `server`: ours (RENEWING).

        `only`: servers whose refusal counts; empty is any. What they grant is for `check` to judge.
        """
        self._identity = identity
        self._check = check
        self._address = address
        self._server = server
        self._only = only
        self.xid = xid
        self.state = state
        self.terms: Terms | None = None  # once granted
        self.complaint = ""

    @property
    def over(self) -> bool:
        """Granted or refused."""
        return self.state in (State.GRANTED, State.REFUSED)

    def send(self, secs: int = 0) -> Message:
        """What to say now; `secs` since the conversation began."""
        options = {m.KIND: bytes((m.DISCOVER if self.state is State.SELECTING else m.REQUEST,))}
        options[m.CLIENT_ID] = self._identity.client_id
        has = self.state in (State.RENEWING, State.REBINDING)
        if self._address and not has:
            options[m.REQUESTED] = IPv4Address(self._address).packed
        if self.state is State.REQUESTING:
            options[m.SERVER] = IPv4Address(self._server).packed
        options[m.MAX_SIZE] = m.MOST.to_bytes(2, "big")
        if self._identity.hostname:
            options[m.HOST_NAME] = self._identity.hostname.encode()[:255]
        options[m.WANTED] = _ASKED
        return Message(
            xid=self.xid,
            secs=secs,
            flags=0 if has else m.BROADCAST,
            client=IPv4Address(self._address).packed if has else bytes(4),
            mac=self._identity.mac,
            options=options,
        )

    def take(self, data: bytes) -> bool:
        """Hear a message; True where the conversation goes on by it, with `send` or to its end."""
        try:
            reply = m.parse(data)
            server = address_of(reply, m.SERVER)
        except Malformed as error:
            self.complaint = f"a server sent what cannot be read: {error}"
            return False
        if not reply.reply or reply.xid != self.xid or reply.mac != self._identity.mac:
            return False  # it is about somebody else
        former = self.state
        try:
            self._hear(reply, server)
        except Unusable as error:
            self.complaint = f"the server {server or 'that answered'} {error}"
        return self.state is not former

    def _hear(self, reply: Message, server: str) -> None:
        match reply.kind, self.state:
            case (m.OFFER, State.SELECTING):
                terms = self._usable(reply)
                self._address, self._server = terms.address.partition("/")[0], terms.server
                self.state = State.REQUESTING
            case (m.ACK, State.REQUESTING | State.REBOOTING | State.RENEWING | State.REBINDING):
                self._granted(reply, server)
            case (m.NAK, State.REQUESTING) if server == self._server:
                self.again(f"the server {server} offered {self._address}, then refused it{_words(reply)}")
            case (m.NAK, State.RENEWING) if server == self._server:
                self._refused(reply, server)
            case (m.NAK, State.REBOOTING | State.REBINDING) if not self._only or server in self._only:
                self._refused(reply, server)

    def again(self, complaint: str) -> None:
        """What was chosen is not to be had: look for another offer."""
        self.complaint = complaint
        self.state, self._address, self._server, self.terms = State.SELECTING, "", "", None

    def _granted(self, reply: Message, server: str) -> None:
        if self.state is State.REQUESTING and server != self._server:
            return  # we have chosen another
        terms = self._usable(reply)
        if terms.address.partition("/")[0] != self._address:
            raise Unusable(f"was asked for {self._address} and grants {terms.address}")
        self.terms, self.state = terms, State.GRANTED

    def _refused(self, reply: Message, server: str) -> None:
        self.complaint = f"the server {server or 'that answered'} refuses {self._address}{_words(reply)}"
        self.state = State.REFUSED

    def _usable(self, reply: Message) -> Terms:
        terms = terms_of(reply)
        if reason := self._check(terms):
            raise Unusable(reason)
        return terms


def farewell(identity: Identity, xid: int, kind: int, address: str, server: str) -> Message:
    """RELEASE: we need the address no more; DECLINE: somebody else uses it (RFC 2131, sections 4.4.4 and 4.4.6)."""
    options = {
        m.KIND: bytes((kind,)),
        m.CLIENT_ID: identity.client_id,
        m.SERVER: IPv4Address(server).packed,
    }
    packed = IPv4Address(address).packed
    if kind == m.DECLINE:
        options[m.REQUESTED] = packed
    return Message(xid=xid, client=packed if kind == m.RELEASE else bytes(4), mac=identity.mac, options=options)


def _words(reply: Message) -> str:
    """What a refusal says for itself (option 56), in printable characters."""
    text = reply.options.get(m.TEXT, b"")[:120].decode("ascii", "replace")
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return f" ({shown})" if shown else ""
