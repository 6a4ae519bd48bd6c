"""Docker's event filters: `{"type": ["network"], "label": ["app=web"]}` becomes one test of an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netloom.events.bus import Keep
from netloom.model.errors import InvalidArgument
from netloom.model.event import Event

NAMED = ("config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume")
KEYS = frozenset((*NAMED, "event", "image", "label", "scope", "type"))
# Actions with details after a colon (`exec_start: sh`) are matched by their beginning when asked for without it.
DETAILED = frozenset(("health_status", "exec_create", "exec_start"))

Filters = Mapping[str, Sequence[str]]


def event_filter(filters: Filters) -> Keep | None:
    """The test for all filters together, None when there are none.

    Values of one key are alternatives; keys must all hold; every `label` must hold. Raises InvalidArgument for a key
    that Docker does not know.
    """
    for key in filters:
        if key not in KEYS:
            raise InvalidArgument(f"invalid filter '{key}'")
    given = {key: tuple(values) for key, values in filters.items() if values}
    if not given:
        return None
    return lambda event: all(_holds(key, values, event) for key, values in given.items())


def _holds(key: str, values: Sequence[str], event: Event) -> bool:
    match key:
        case "type":
            return event.type in values
        case "scope":
            return event.scope in values
        case "event":
            return event.action in values or (
                not DETAILED.isdisjoint(values) and event.action.startswith(tuple(values))
            )
        case "label":
            return all(_has_label(event.attributes, value) for value in values)
        case "image":
            return not _image_names(event).isdisjoint(values)
        case _:
            # Docker looks at the event's own object whatever its type is, and takes beginnings of ids and names.
            return event.id.startswith(tuple(values)) or event.attributes.get("name", "").startswith(tuple(values))


def _has_label(attributes: Mapping[str, str], wanted: str) -> bool:
    key, has_value, value = wanted.partition("=")
    return key in attributes and (not has_value or attributes[key] == value)


def _image_names(event: Event) -> set[str]:
    """How the image of an event may be called: its id, its reference, and each without tag and digest."""
    named = event.attributes.get("name" if event.type == "image" else "image", "")
    names = {event.id, named}
    return names | {_familiar(name) for name in names}


def _familiar(reference: str) -> str:
    """`docker.io/library/web:1@sha256:…` → `web`: as a person writes the repository."""
    repository = reference.partition("@")[0]
    head, slash, last = repository.rpartition("/")
    repository = head + slash + last.partition(":")[0]
    return repository.removeprefix("docker.io/").removeprefix("library/")
