"""A lease: an address that a DHCP server of the LAN has given to an endpoint, for a time and on its terms."""

from __future__ import annotations

from msgspec import Struct

FOREVER = 0xFFFFFFFF  # seconds: a lease that does not end (RFC 2131, section 3.3)


class Terms(Struct, frozen=True, kw_only=True):
    """What a server offers or grants. Addresses are text, times seconds from the request that it answers."""

    address: str  # with prefix length
    server: str
    seconds: int
    t1: int  # from then on it is asked for more time
    t2: int  # from then on any server is
    routers: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()  # (CIDR, gateway; empty: on the link), the default route left out
    name_servers: tuple[str, ...] = ()
    mtu: int = 0


class Lease(Struct, frozen=True, kw_only=True):
    """Terms that were granted, since when, and by whom."""

    terms: Terms
    began: int  # ns since the epoch
    mac: str  # under which it was asked for
    server_mac: str  # where the server, or its relay, was on the link

    @property
    def ends(self) -> int | None:
        """ns since the epoch; None: never."""
        return None if self.terms.seconds == FOREVER else self.began + self.terms.seconds * 1_000_000_000
