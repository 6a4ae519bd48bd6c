"""When a lease is asked for more time (RFC 2131, section 4.4.5). All times are ns since the epoch."""

from __future__ import annotations

from netloom.dhcp.exchange import State
from netloom.model.lease import FOREVER, Lease

_SECOND = 1_000_000_000
_SHORTEST, _LONGEST = 2 * _SECOND, 60 * _SECOND  # between two tries where nobody answers


def due(lease: Lease) -> int | None:
    """When it is asked first; None: never."""
    return None if lease.terms.t1 == FOREVER else lease.began + lease.terms.t1 * _SECOND


def asks(lease: Lease, now: int) -> State:
    """Whom it asks now: its own server, later any."""
    return State.RENEWING if now < lease.began + lease.terms.t2 * _SECOND else State.REBINDING


def again(lease: Lease, now: int) -> int:
    """When to ask again, nobody having answered: after half of what is left until T2, then until the end."""
    ends = lease.ends or now + _LONGEST
    t2 = lease.began + lease.terms.t2 * _SECOND
    left = (t2 if now < t2 else ends) - now
    return min(now + min(max(left // 2, _SHORTEST), _LONGEST), ends)


def left(lease: Lease, now: int) -> int:
    """Seconds until its end, at least one; FOREVER."""
    return FOREVER if lease.ends is None else max(1, -((now - lease.ends) // _SECOND))


def over(lease: Lease, now: int) -> bool:
    """Has its time come to an end?"""
    return lease.ends is not None and now >= lease.ends
