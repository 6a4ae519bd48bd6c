"""/containers: create, list, inspect, start, stop, restart, kill, wait, rename, remove, resize, top."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from netloom.api import web
from netloom.api.call import Call
from netloom.api.container_json import FindNetwork, container_json
from netloom.api.container_list import Selection, summary_json
from netloom.api.filters import has_label, parse_filters
from netloom.api.gotext import parse_until, quote
from netloom.api.requests import container_request
from netloom.api.respond import JSON, Reply, empty_reply, json_reply
from netloom.api.routing import Route
from netloom.api.shapes import CONTAINER_CREATE
from netloom.api.streaming import Stream
from netloom.model.container import Container
from netloom.model.errors import Failed, InvalidArgument, NetloomError, NotFound, Unsupported

_CONDITIONS = ("", "not-running", "next-exit", "removed")
_MACHINES = {"x86_64": ("amd64", "x86_64"), "aarch64": ("arm64", "aarch64", "arm64/v8")}


async def create(call: Call) -> Reply:
    """POST /containers/create."""
    body = await call.required_body(CONTAINER_CREATE)
    _check_platform(call.query("platform"))
    request, warnings = container_request(body, call.query("name"), call.version)
    key, more = await call.backend.create_container(request)
    return json_reply({"Id": key, "Warnings": [*warnings, *more]}, 201)


async def list_containers(call: Call) -> Reply:
    """GET /containers/json."""
    backend = call.backend
    find_network = network_finder(call)
    selection = Selection(
        parse_filters(call.query("filters")),
        show_all=call.flag("all"),
        limit=call.integer("limit") or 0,
        find=backend.container,
        endpoints=backend.container_endpoints,
        find_network=find_network,
    )
    shown = selection.of(backend.containers())
    sizes = await container_sizes(call, shown) if call.flag("size") else {}
    return json_reply(summaries(call, shown, sizes))


async def container_sizes(call: Call, containers: Sequence[Container]) -> dict[str, tuple[int, int]]:
    """By container id: bytes written, and of the whole root."""
    written = await call.backend.written([container.id for container in containers])
    images = {image.id: image.size for image in call.backend.images.all()}
    return {
        container.id: (written[container.id], images.get(container.image_id, 0) + written[container.id])
        for container in containers
    }


def summaries(
    call: Call, containers: Iterable[Container], sizes: Mapping[str, tuple[int, int]] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """Containers as a list shows them; `sizes` of those for which they are asked."""
    backend = call.backend
    find_network, now = network_finder(call), call.now()
    linked = _link_names(backend.containers())
    image_name = _image_names(call)
    return [
        summary_json(
            container,
            image_name(container),
            backend.container_endpoints(container.id),
            find_network,
            now,
            call.version,
            sizes=sizes.get(container.id),
            more_names=linked.get(container.name, ()),
        )
        for container in containers
    ]


def _image_names(call: Call) -> Callable[[Container], str]:
    """A container's image as lists show it: the name that it was made by, or the id once that means another image."""
    means: dict[str, str] = {}

    def shown(container: Container) -> str:
        name = container.config.image
        if name not in means:
            try:
                means[name] = call.backend.images.find(name).id
            except NetloomError:
                means[name] = ""
        return name if means[name] == container.image_id else container.image_id

    return shown


async def inspect(call: Call) -> Reply:
    """GET /containers/{id}/json."""
    backend = call.backend
    container = backend.container(call.ref)
    sizes = await container_sizes(call, [container]) if call.flag("size") else {}
    return json_reply(
        container_json(
            container,
            backend.container_endpoints(container.id),
            backend.container_paths(container.id),
            network_finder(call),
            _links(call, container),
            version=call.version,
            sizes=sizes.get(container.id),
        )
    )


async def start(call: Call) -> Reply:
    """POST /containers/{id}/start."""
    if call.query("checkpoint"):
        raise Unsupported("checkpoints are not supported by netloom")
    if len(await call.raw_body()) > 7:  # `{}` and `null` of old clients pass, as with Docker
        raise InvalidArgument(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    await call.backend.start(call.ref)
    return empty_reply(204)


async def stop(call: Call) -> Reply:
    """POST /containers/{id}/stop."""
    await call.backend.stop(call.ref, timeout=call.integer("t"), signal=call.query("signal"))
    return empty_reply(204)


async def restart(call: Call) -> Reply:
    """POST /containers/{id}/restart."""
    await call.backend.restart(call.ref, timeout=call.integer("t"), signal=call.query("signal"))
    return empty_reply(204)


async def kill(call: Call) -> Reply:
    """POST /containers/{id}/kill."""
    prefix = f"cannot kill container: {call.ref}: "
    try:
        await call.backend.kill(call.ref, call.query("signal"))
    except NetloomError as error:
        if not error.message.startswith(prefix):
            error.args = (prefix + error.message,)
        raise
    return empty_reply(204)


async def wait(call: Call) -> Reply | web.StreamResponse:
    """POST /containers/{id}/wait: the headers go out once the waiting has begun, for the client starts it then."""
    condition = call.query("condition")
    if condition not in _CONDITIONS:
        raise InvalidArgument(f"invalid condition: {quote(condition)}")
    container = call.backend.container(call.ref)
    ended = asyncio.ensure_future(call.backend.wait(container.id, condition or "not-running"))
    try:
        await asyncio.sleep(0)  # lets it begin
        if call.version < (1, 30) or (ended.done() and ended.exception() is not None):
            return json_reply(_exit_json(*await ended))
        async with Stream(call, JSON) as stream:
            try:
                result = _exit_json(*await ended)
            except NetloomError as error:
                result = _exit_json(-1, error.message)
            if condition in ("removed", "next-exit"):
                result.pop("Error", None)  # a start that failed has told its own client; the CLI would say it twice
            await stream.write(_encode(result))
        return stream.response
    finally:
        ended.cancel()


async def rename(call: Call) -> Reply:
    """POST /containers/{id}/rename."""
    await call.backend.rename(call.ref, call.query("name"))
    return empty_reply(204)


async def remove(call: Call) -> Reply:
    """DELETE /containers/{id}. With `link` the name of a link is meant, never a container."""
    if call.flag("link"):
        call.backend.container(call.ref)
        raise Failed(
            "Conflict, cannot remove the default link name of the container",
            remedy="links go with the container that made them",
        )
    await call.backend.remove(call.ref, force=call.flag("force"), volumes=call.flag("v"), link=False)
    return empty_reply(204)


async def prune(call: Call) -> Reply:
    """POST /containers/prune: remove what does not run."""
    filters = parse_filters(call.query("filters"))
    filters.check_keys(("label", "label!", "until"))
    until = filters.get("until")
    if len(until) > 1:
        raise InvalidArgument("more than one until filter specified")
    limit = parse_until(until[0], call.now()) if until else call.now()
    unwanted = filters.get("label!")
    candidates = [
        container.id
        for container in call.backend.containers()
        if container.created <= limit
        and filters.labels("label", container.config.labels)
        and not (unwanted and all(has_label(container.config.labels, want) for want in unwanted))
    ]
    pruned, reclaimed = await call.backend.prune_containers(candidates)
    return json_reply({"ContainersDeleted": pruned or None, "SpaceReclaimed": reclaimed})


async def resize(call: Call) -> Reply:
    """POST /containers/{id}/resize."""
    height, width = terminal_size(call)
    await call.backend.resize(call.ref, height, width)
    return empty_reply()


async def top(call: Call) -> Reply:
    """GET /containers/{id}/top."""
    titles, processes = await call.backend.top(call.ref, call.query("ps_args") or "-ef")
    return json_reply({"Processes": processes, "Titles": titles})


def terminal_size(call: Call) -> tuple[int, int]:
    """`h` and `w`, each what a terminal can have."""
    size = []
    for key, name in (("h", "height"), ("w", "width")):
        text = call.query(key)
        if not (text.isascii() and text.isdecimal()):
            raise InvalidArgument(f"invalid resize {name} {quote(text)}: invalid syntax")
        if len(text) > 5 or int(text) > 65535:
            raise InvalidArgument(f"invalid resize {name} {quote(text)}: value out of range")
        size.append(int(text))
    return size[0], size[1]


def _exit_json(code: int, error: str) -> dict[str, Any]:
    return {"Error": {"Message": error}, "StatusCode": code} if error else {"StatusCode": code}


def _encode(value: Any) -> bytes:
    return json_reply(value).body


def _check_platform(asked: str) -> None:
    """Containers run on this machine: its own platform may be asked for by name."""
    if not asked:
        return
    system, _, machine = asked.lower().partition("/")
    own = _MACHINES.get(platform.machine(), (platform.machine(),))
    if system != "linux" or (machine and machine not in own):
        raise Unsupported(f"platform {quote(asked)} is not supported on this machine (linux/{own[0]})")


def network_finder(call: Call) -> FindNetwork:
    by_name = {network.name: network for network in call.backend.networks()}
    return by_name.get


def _links(call: Call, container: Container) -> Iterable[str] | None:
    """`/other:/this/alias`, as inspect shows a link."""
    links = container.host_config.links
    if links is None:
        return None
    shown = []
    for link in links:
        ref, _, alias = link.partition(":")
        try:
            name = call.backend.container(ref).name
        except NotFound:
            name = ref
        shown.append(f"/{name}:/{container.name}/{alias or name}")
    return shown


def _link_names(containers: Iterable[Container]) -> dict[str, list[str]]:
    """The names that links give to containers, by the container's own name."""
    names: dict[str, list[str]] = {}
    for container in containers:
        for link in container.host_config.links or ():
            ref, _, alias = link.partition(":")
            names.setdefault(ref.removeprefix("/"), []).append(f"/{container.name}/{alias or ref}")
    return names


ROUTES = (
    Route("POST", "/containers/create", create),
    Route("GET", "/containers/json", list_containers),
    Route("POST", "/containers/prune", prune),
    Route("GET", "/containers/{ref}/json", inspect),
    Route("POST", "/containers/{ref}/start", start),
    Route("POST", "/containers/{ref}/stop", stop),
    Route("POST", "/containers/{ref}/restart", restart),
    Route("POST", "/containers/{ref}/kill", kill),
    Route("POST", "/containers/{ref}/wait", wait),
    Route("POST", "/containers/{ref}/rename", rename),
    Route("POST", "/containers/{ref}/resize", resize),
    Route("GET", "/containers/{ref}/top", top),
    Route("DELETE", "/containers/{ref}", remove),
)
