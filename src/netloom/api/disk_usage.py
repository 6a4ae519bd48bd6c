"""GET /system/df: what images, containers and volumes take up on disk. Nothing is built here: there is no cache."""

from __future__ import annotations

from typing import Any

from netloom.api.call import Call
from netloom.api.containers import container_sizes, summaries
from netloom.api.images import image_summary, shared_sizes
from netloom.api.respond import Reply, json_reply
from netloom.api.routing import Route
from netloom.api.volumes import volume_json
from netloom.model.errors import InvalidArgument

_TYPES = ("container", "image", "volume", "build-cache")


async def disk_usage(call: Call) -> Reply:
    """What is not among the types asked for is null, and not counted."""
    asked = call.queries("type") or list(_TYPES)
    for kind in asked:
        if kind not in _TYPES:
            raise InvalidArgument(f"unknown object type: {kind}")
    shown: dict[str, Any] = {"LayersSize": 0, "Images": None, "Containers": None, "Volumes": None, "BuildCache": None}
    if "image" in asked:
        shown |= _images(call)
    if "container" in asked:
        containers = call.backend.containers()
        shown["Containers"] = summaries(call, containers, await container_sizes(call, containers))
    if "volume" in asked:
        shown["Volumes"] = [
            {**volume_json(usage.volume), "UsageData": {"RefCount": usage.users, "Size": usage.size}}
            for usage in await call.backend.volumes.usage()
        ]
    if "build-cache" in asked:
        shown["BuildCache"] = []
    return json_reply(shown)


def _images(call: Call) -> dict[str, Any]:
    images = call.backend.images
    using = [container.image_id for container in call.backend.containers()]
    shared = shared_sizes(call)
    return {
        "LayersSize": sum(layer.size for layer in images.layers()),
        "Images": [image_summary(image, using.count(image.id), shared.get(image.id, 0)) for image in images.all()],
    }


async def prune_builds(call: Call) -> Reply:
    """POST /build/prune, which `docker system prune` asks for: there is nothing, so nothing is reclaimed."""
    return json_reply({"CachesDeleted": None, "SpaceReclaimed": 0})


ROUTES = (
    Route("GET", "/system/df", disk_usage),
    Route("POST", "/build/prune", prune_builds),
)
