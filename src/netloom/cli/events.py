"""`netloom events`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from netloom.cli.client import Client
from netloom.cli.errors import CliError
from netloom.cli.filters import filters
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.listing import read_template
from netloom.cli.template import TemplateError
from netloom.cli.timing import moment

USAGE = Usage(
    "events",
    "",
    0,
    0,
    "Get real time events from the server",
    (
        Flag("filter", "f", "list", "Filter output based on conditions provided"),
        Flag("format", help="'json' or a template"),
        Flag("since", help="Show all events created since timestamp"),
        Flag("until", help="Stream events until this timestamp"),
    ),
)


def main(client: Client, arguments: Arguments) -> int:
    """Print events as they come, until interrupted or until the time given."""
    query = filters(arguments.filter)
    for option in ("since", "until"):
        if getattr(arguments, option):
            query[option] = moment(getattr(arguments, option), option)
    form = "{{json .}}" if arguments.format == "json" else arguments.format
    template = read_template(form) if form else None
    for event in _events(client.stream("/events", query)):
        try:
            print(template.render(event) if template else _line(event), flush=True)
        except TemplateError as error:
            raise CliError(f"failed to execute template: {error}") from None
    return 0


def _events(pieces: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())
    if rest.strip():
        yield json.loads(rest)


def _line(event: dict[str, Any]) -> str:
    seconds, fraction = divmod(event["timeNano"], 10**9)
    moment_text = datetime.fromtimestamp(seconds).astimezone()
    offset = moment_text.strftime("%z")
    zone = "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"
    actor = event["Actor"]
    attributes = ", ".join(f"{key}={value}" for key, value in sorted((actor.get("Attributes") or {}).items()))
    head = f"{moment_text:%Y-%m-%dT%H:%M:%S}.{fraction:09}{zone} {event['Type']} {event['Action']} {actor['ID']}"
    return f"{head} ({attributes})" if attributes else head
