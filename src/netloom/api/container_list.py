"""GET /containers/json: which containers, and the short form of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from netloom.api.container_json import FindNetwork, endpoint_json, mount_json
from netloom.api.filters import Filters
from netloom.api.gotext import SECOND, human_duration, parse_int, quote
from netloom.api.images import with_tag
from netloom.api.ports_json import ports_list
from netloom.model.container import Container, State
from netloom.model.endpoint import Endpoint, EndpointConfig, EndpointIpam
from netloom.model.errors import InvalidArgument
from netloom.model.mount import MountPoint

Endpoints = Callable[[str], Mapping[str, Endpoint]]

_KEYS = (
    "ancestor",
    "before",
    "exited",
    "id",
    "isolation",
    "label",
    "name",
    "status",
    "health",
    "since",
    "volume",
    "network",
    "is-task",
    "publish",
    "expose",
)
_STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_HEALTH = ("none", "starting", "healthy", "unhealthy")


class Selection:
    """The containers that a list shows. Raises InvalidArgument for a filter that makes no sense, NotFound for a
    container named by `before` or `since` that does not exist."""

    def __init__(
        self,
        filters: Filters,
        *,
        show_all: bool,
        limit: int,
        find: Callable[[str], Container],
        endpoints: Endpoints,
        find_network: FindNetwork,
    ) -> None:
        filters.check_keys(_KEYS)
        _check_words(filters)
        self._filters = filters
        self._show_all = show_all or limit > 0 or "status" in filters or "exited" in filters
        self._limit = limit
        self._exited = [_exit_code(value) for value in filters.get("exited")]
        self._before = [find(ref).id for ref in filters.get("before")]
        self._since = [find(ref).id for ref in filters.get("since")]
        self._publish = _port_filter("publish", filters.get("publish"))
        self._expose = _port_filter("expose", filters.get("expose"))
        self._endpoints = endpoints
        self._find_network = find_network

    def of(self, containers: Iterable[Container]) -> list[Container]:
        """Newest first, as they come."""
        shown: list[Container] = []
        passed = not self._before
        for container in containers:
            if container.id in self._since or (0 < self._limit <= len(shown)):
                break
            if passed and self._holds(container):
                shown.append(container)
            passed = passed or container.id in self._before
        return shown

    def _holds(self, container: Container) -> bool:
        filters = self._filters
        return (
            (self._show_all or container.state.running or container.state.restarting)
            and filters.match("name", f"/{container.name}", container.name)
            and filters.match("id", container.id)
            and filters.labels("label", container.config.labels)
            and filters.exact("status", container.state.status)
            and filters.exact("health", container.state.health.status if container.state.health else "none")
            and filters.flag("is-task") is not True
            and self._volume_holds(container)
            and self._exit_holds(container)
            and self._ancestor_holds(container)
            and self._network_holds(container)
            and self._ports_hold(container)
        )

    def _exit_holds(self, container: Container) -> bool:
        state = container.state
        return not self._exited or (
            bool(state.started) and not (state.running or state.restarting) and state.exit_code in self._exited
        )

    def _ancestor_holds(self, container: Container) -> bool:
        wanted = self._filters.get("ancestor")
        names = (with_tag(container.config.image), container.image_id)
        return not wanted or any(
            with_tag(ref) in names or (len(ref) >= 4 and container.image_id.removeprefix("sha256:").startswith(ref))
            for ref in wanted
        )

    def _network_holds(self, container: Container) -> bool:
        wanted = self._filters.get("network")
        if not wanted or not set(wanted).isdisjoint(container.networks):
            return True
        ids = [network.id for name in container.networks if (network := self._find_network(name)) is not None]
        return any(key.startswith(value) for key in ids for value in wanted if value)

    def _volume_holds(self, container: Container) -> bool:
        """By a volume's name, or by where something is mounted."""
        wanted = self._filters.get("volume")
        found = {name for point in container.mounts for name in (point.name or point.source, point.destination)}
        return not wanted or not found.isdisjoint(wanted)

    def _ports_hold(self, container: Container) -> bool:
        if self._publish is None and self._expose is None:
            return True
        ports = ports_list(container, self._endpoints(container.id).values())
        return any(
            (entry.get("PublicPort", 0), entry["Type"]) in (self._publish or ())
            or (entry["PrivatePort"], entry["Type"]) in (self._expose or ())
            for entry in ports
        )


def summary_json(
    container: Container,
    image: str,
    endpoints: Mapping[str, Endpoint],
    find_network: FindNetwork,
    now: int,
    version: tuple[int, int],
    *,
    sizes: tuple[int, int] | None = None,
    more_names: Iterable[str] = (),
) -> dict[str, Any]:
    """One container of a list, keys in Docker's order. `sizes`: bytes written, and of the whole root."""
    shown: dict[str, Any] = {
        "Id": container.id,
        "Names": [f"/{container.name}", *more_names],
        "Image": image,
        "ImageID": container.image_id,
        "Command": _command(container),
        "Created": container.created // SECOND,
        "Ports": ports_list(container, endpoints.values()),
    }
    if sizes is not None:
        if sizes[0]:
            shown["SizeRw"] = sizes[0]
        shown["SizeRootFs"] = sizes[1]
    host: dict[str, Any] = {"NetworkMode": container.host_config.network_mode}
    if version >= (1, 46) and container.host_config.annotations:
        host["Annotations"] = dict(sorted(container.host_config.annotations.items()))
    return shown | {
        "Labels": dict(sorted(container.config.labels.items())),
        "State": container.state.status,
        "Status": status_text(container, now),
        "HostConfig": host,
        "NetworkSettings": {"Networks": _networks(container, endpoints, find_network)},
        "Mounts": [_mount(point) for point in container.mounts],
    }


def _mount(point: MountPoint) -> dict[str, Any]:
    """As inspect shows it, but for the folder of a volume."""
    return mount_json(replace(point, source="") if point.type == "volume" else point)


def status_text(container: Container, now: int) -> str:
    """`Up 5 seconds`, `Exited (0) 2 minutes ago`: as `docker ps` shows it."""
    state = container.state
    match state.status:
        case "running":
            return f"Up {human_duration(now - state.started)}{_health_text(state)}"
        case "paused":
            return f"Up {human_duration(now - state.started)} (Paused)"
        case "restarting":
            return f"Restarting ({state.exit_code}) {human_duration(now - state.finished)} ago"
        case "removing":
            return "Removal In Progress"
        case "dead":
            return "Dead"
        case "exited":
            return f"Exited ({state.exit_code}) {human_duration(now - state.finished)} ago"
        case _:
            return "Created"


def _health_text(state: State) -> str:
    if state.health is None:
        return ""
    return " (health: starting)" if state.health.status == "starting" else f" ({state.health.status})"


def _networks(container: Container, endpoints: Mapping[str, Endpoint], find_network: FindNetwork) -> dict[str, Any]:
    """Only what stands: Docker's list leaves out what was asked for, but for addresses and priority."""
    shown = {}
    for name, config in sorted(container.networks.items()):
        ipam = config.ipam
        brief = EndpointConfig(
            ipam=None if ipam is None else EndpointIpam(ipv4=ipam.ipv4, ipv6=ipam.ipv6), gw_priority=config.gw_priority
        )
        network = find_network(name) if container.state.started else None
        endpoint = endpoints.get(network.id) if network is not None else None
        shown[name] = endpoint_json(brief, network.id if network else "", endpoint, None)
    return shown


def _command(container: Container) -> str:
    words = (*(container.config.entrypoint or ()), *(container.config.cmd or ()))
    return " ".join([*words[:1], *(f"'{word}'" if " " in word else word for word in words[1:])])


def _check_words(filters: Filters) -> None:
    for key, what, known in (("status", "state", _STATES), ("health", "health", _HEALTH)):
        for value in filters.get(key):
            if value not in known:
                raise InvalidArgument(
                    f"invalid filter '{key}={value}': invalid value for {what} ({value}): "
                    f"must be one of {', '.join(known)}"
                )
    task = filters.get("is-task")
    if task and (len(task) > 1 or task[0] not in ("true", "false", "1", "0")):
        raise InvalidArgument(f"invalid filter 'is-task=[{' '.join(task)}]'")


def _exit_code(value: str) -> int:
    try:
        return parse_int(value)
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid filter 'exited={value}': {error}") from error


def _port_filter(key: str, values: Iterable[str]) -> set[tuple[int, str]] | None:
    """`80`, `80/udp`, `8000-8080/tcp` as ports; None when the filter is not there."""
    values = list(values)
    if not values:
        return None
    ports: set[tuple[int, str]] = set()
    for value in values:
        numbers, _, proto = value.partition("/")
        first, dash, last = numbers.partition("-")
        for text in (first, *([last] if dash else ())):
            if not text.isascii() or not text.isdecimal() or len(text) > 5 or int(text) > 65535:
                reason = f"strconv.ParseUint: parsing {quote(text)}: invalid syntax"
                raise InvalidArgument(f"error while looking up for {key} {value}: {reason}")
        low, high = int(first), int(last if dash else first)
        if low > high:
            raise InvalidArgument(f"error while looking up for {key} {value}: invalid range specified for port")
        ports |= {(number, (proto or "tcp").lower()) for number in range(low, high + 1)}
    return ports
