"""GET /events: one JSON object a line, from the back-log and live."""

from __future__ import annotations

import msgspec

from netloom.api import web
from netloom.api.call import Call
from netloom.api.filters import parse_filters
from netloom.api.gotext import SECOND, parse_timestamp
from netloom.api.respond import JSON
from netloom.api.routing import Route
from netloom.api.streaming import Stream, closing
from netloom.events.filters import event_filter
from netloom.model.errors import InvalidArgument
from netloom.model.event import Event


async def events(call: Call) -> web.StreamResponse:
    """The headers go out at once, the stream ends at `until` or with the client."""
    since, until = parse_timestamp(call.query("since")), parse_timestamp(call.query("until"))
    if since and until and since > until:
        raise InvalidArgument(
            f"`since` time ({call.query('since')}) cannot be after `until` time ({call.query('until')})"
        )
    keep = event_filter(parse_filters(call.query("filters")).values)
    live = call.backend.events(since=since, until=until)
    async with closing(live), Stream(call, JSON) as stream:
        async for event in live:
            if keep is None or keep(event):
                await stream.write(event_line(event))
    return stream.response


def event_line(event: Event) -> bytes:
    """Docker's key order, with the fields that container events had before there were others."""
    fields: dict[str, object] = {}
    if event.type == "container":
        fields["status"] = event.action
        if event.id:
            fields["id"] = event.id
        if image := event.attributes.get("image"):
            fields["from"] = image
    elif event.type == "image":
        fields["status"] = event.action
        if event.id:
            fields["id"] = event.id
    fields["Type"] = event.type
    fields["Action"] = event.action
    fields["Actor"] = {"ID": event.id, "Attributes": dict(sorted(event.attributes.items()))}
    fields["scope"] = event.scope
    fields["time"] = event.time_nano // SECOND
    fields["timeNano"] = event.time_nano
    line = msgspec.json.encode(fields)
    for char, escape in ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):  # as Go's encoder does here
        if char in line:
            line = line.replace(char, escape)
    return line + b"\n"


ROUTES = (Route("GET", "/events", events),)
