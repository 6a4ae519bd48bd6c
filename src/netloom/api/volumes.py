"""/volumes: list, inspect, create, delete, prune, and the update that only a cluster has."""

from __future__ import annotations

from typing import Any

from netloom.api.call import Call
from netloom.api.filters import Filters, has_label, parse_filters
from netloom.api.gotext import SECOND, quote, rfc3339nano
from netloom.api.respond import Reply, empty_reply, json_reply
from netloom.api.routing import Route
from netloom.api.shapes import VOLUME_CREATE
from netloom.model.errors import InvalidArgument, Unavailable
from netloom.model.truth import truth_of
from netloom.model.volume import LOCAL, Volume, VolumeRequest

_FILTERS = ("dangling", "driver", "label", "name")
_PRUNE_FILTERS = ("all", "label", "label!")


async def list_volumes(call: Call) -> Reply:
    """GET /volumes."""
    filters = parse_filters(call.query("filters"))
    filters.check_keys(_FILTERS)
    dangling = _dangling(filters)
    volumes = call.backend.volumes
    shown = [
        volume
        for volume in volumes.all()
        if filters.exact("driver", volume.driver)
        and filters.match("name", volume.name)
        and filters.labels("label", volume.labels or {})
        and (dangling is None or dangling is not bool(volumes.users(volume.name)))
    ]
    return json_reply({"Volumes": [volume_json(volume) for volume in shown], "Warnings": None})


async def inspect_volume(call: Call) -> Reply:
    """GET /volumes/{name}."""
    return json_reply(volume_json(call.backend.volumes.get(call.ref)))


async def create_volume(call: Call) -> Reply:
    """POST /volumes/create; without a name it gets one."""
    body = await call.body(VOLUME_CREATE)
    if "ClusterVolumeSpec" in body:
        raise _no_swarm()
    request = VolumeRequest(
        name=body.get("Name", ""),
        driver=body.get("Driver") or LOCAL,
        labels=body.get("Labels"),
        options=body.get("DriverOpts"),
    )
    return json_reply(volume_json(await call.backend.volumes.create(request)), 201)


async def update_volume(call: Call) -> Reply:
    """PUT /volumes/{name}."""
    raise Unavailable("volume update only valid for cluster volumes, but swarm is unavailable")


async def delete_volume(call: Call) -> Reply:
    """DELETE /volumes/{name}."""
    await call.backend.volumes.remove(call.ref, force=call.flag("force"))
    return empty_reply(204)


async def prune_volumes(call: Call) -> Reply:
    """POST /volumes/prune: anonymous ones only, unless all are meant; before API 1.42 all always were."""
    filters = parse_filters(call.query("filters"))
    filters.check_keys(_PRUNE_FILTERS)
    everything = _all(filters) or call.version < (1, 42)
    candidates = [
        volume.name
        for volume in call.backend.volumes.all()
        if (everything or volume.anonymous)
        and filters.labels("label", volume.labels or {})
        and not any(has_label(volume.labels or {}, unwanted) for unwanted in filters.get("label!"))
    ]
    deleted, reclaimed = await call.backend.volumes.prune(candidates)
    return json_reply({"VolumesDeleted": deleted, "SpaceReclaimed": reclaimed})


def volume_json(volume: Volume) -> dict[str, Any]:
    """One volume, keys in Docker's order; its age is told in whole seconds."""
    return {
        "CreatedAt": rfc3339nano(volume.created // SECOND * SECOND),
        "Driver": volume.driver,
        "Labels": volume.labels,
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": volume.options,
        "Scope": "local",
    }


def _dangling(filters: Filters) -> bool | None:
    wanted = filters.get("dangling")
    if not wanted:
        return None
    if len(wanted) > 1 or wanted[0] not in ("1", "true", "0", "false"):
        raise InvalidArgument(f"invalid filter 'dangling=[{' '.join(wanted)}]'")
    return wanted[0] in ("1", "true")


def _all(filters: Filters) -> bool:
    wanted = filters.get("all")
    if not wanted:
        return False
    if len(wanted) > 1:
        raise InvalidArgument("invalid filter 'all': only one value is expected")
    truth = truth_of(wanted[0])
    if truth is None:
        raise InvalidArgument(f"invalid filter 'all': strconv.ParseBool: parsing {quote(wanted[0])}: invalid syntax")
    return truth


def _no_swarm() -> Unavailable:
    return Unavailable(
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to '
        "swarm and try again."
    )


ROUTES = (
    Route("GET", "/volumes", list_volumes),
    Route("POST", "/volumes/create", create_volume),
    Route("POST", "/volumes/prune", prune_volumes),
    Route("GET", "/volumes/{ref}", inspect_volume),
    Route("PUT", "/volumes/{ref}", update_volume),
    Route("DELETE", "/volumes/{ref}", delete_volume),
)
