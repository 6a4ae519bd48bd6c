"""Which networks a list or a prune is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from netloom.api.filters import Filters, has_label
from netloom.api.gotext import parse_until
from netloom.api.status import FilterFailed
from netloom.model.errors import InvalidArgument
from netloom.model.network import PREDEFINED, Network

_LIST = ("dangling", "driver", "id", "label", "name", "scope", "type")
_PRUNE = ("label", "label!", "until")


def listed(networks: Iterable[Network], filters: Filters, in_use: Callable[[str], bool]) -> list[Network]:
    """The networks that a list shows. `in_use` tells by id whether a running container is on a network."""
    filters.check_keys(_LIST)
    dangling = filters.flag("dangling")
    types = filters.get("type")
    for value in types:
        if value not in ("builtin", "custom"):
            raise FilterFailed(f"invalid filter: 'type'='{value}'")
    return [
        network
        for network in networks
        if filters.exact("driver", network.driver)
        and filters.match("name", network.name)
        and filters.match("id", network.id)
        and filters.labels("label", network.labels)
        and filters.exact("scope", network.scope)
        and (not types or ("builtin" if network.name in PREDEFINED else "custom") in types)
        and (dangling is None or dangling == (network.name not in PREDEFINED and not in_use(network.id)))
    ]


def prunable(networks: Iterable[Network], filters: Filters, now: int) -> list[Network]:
    """The networks that a prune may remove if nobody uses them."""
    filters.check_keys(_PRUNE)
    until = filters.get("until")
    if len(until) > 1:
        raise InvalidArgument("more than one until filter specified")
    limit = parse_until(until[0], now) if until else now
    return [
        network
        for network in networks
        if network.name not in PREDEFINED
        and not network.ingress
        and not network.config_only
        and network.created <= limit
        and filters.labels("label", network.labels)
        and not (filters.get("label!") and all(has_label(network.labels, want) for want in filters.get("label!")))
    ]
