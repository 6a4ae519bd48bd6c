"""What `netloom doctor` finds: something that stands in the way of the host's networks, and what helps."""

from __future__ import annotations

from msgspec import Struct, field


class Finding(Struct, frozen=True, kw_only=True):
    """One of them, in words for people; the JSON names are the API's."""

    kind: str = field(name="Kind")  # `address clash`
    between: tuple[str, ...] = field(name="Between")  # every side of it
    effect: str = field(name="Effect")
    remedy: str = field(name="Remedy")
