"""One event, as GET /events tells it."""

from __future__ import annotations

from msgspec import Struct


class Event(Struct, frozen=True):
    """`type` is container, network, daemon …; `time_nano` is strictly rising within one daemon's life."""

    type: str
    action: str
    id: str
    attributes: dict[str, str]
    time_nano: int
    scope: str = "local"
