"""Images that are here: list, inspect, history, names, removal."""

from __future__ import annotations

import platform
from typing import Any

from msgspec import to_builtins

from netloom.api.call import Call
from netloom.api.filters import parse_filters
from netloom.api.gotext import SECOND, rfc3339nano
from netloom.api.image_filters import listed, pruned
from netloom.api.respond import Reply, empty_reply, json_reply
from netloom.api.routing import Route
from netloom.api.shapes import AUTH
from netloom.model.image import ImageConfig, ImageView, Removed

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def with_tag(ref: str) -> str:
    """`host` and `docker.io/library/host` mean `host:latest`; a digest stays as it is."""
    ref = ref.removeprefix("docker.io/").removeprefix("library/")
    return ref if ":" in ref.rpartition("/")[2] or "@" in ref else f"{ref}:latest"


async def list_images(call: Call) -> Reply:
    """GET /images/json."""
    images = call.backend.images
    shown = listed(images.all(), parse_filters(call.query("filters")), images.find, call.now())
    using = [container.image_id for container in call.backend.containers()]
    shared = shared_sizes(call) if call.flag("shared-size") else {}
    return json_reply([image_summary(image, using.count(image.id), shared.get(image.id, -1)) for image in shown])


async def inspect_image(call: Call) -> Reply:
    """GET /images/{name}/json."""
    image = call.backend.images.find(call.ref)
    shown: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": image.tags,
        "RepoDigests": image.digests,
        "Parent": "",
        "Comment": image.comment,
        "Created": rfc3339nano(image.created),
        "DockerVersion": image.docker_version,
        "Author": image.author,
        "Architecture": image.architecture or _ARCHITECTURES.get(platform.machine(), platform.machine()),
        **({"Variant": image.variant} if image.variant else {}),
        "Os": image.os,
        **({"OsVersion": image.os_version} if image.os_version else {}),
        "Size": image.size,
        **({"VirtualSize": image.size} if call.version < (1, 44) else {}),
        "GraphDriver": {"Data": None, "Name": "overlay2"},
        "RootFS": {"Type": "layers", **({"Layers": image.layers} if image.layers else {})},
        "Metadata": {"LastTagTime": rfc3339nano(image.tagged)},
        "Config": image_config_json(image.config),
    }
    return json_reply(shown)


def image_config_json(config: ImageConfig) -> dict[str, Any]:
    """`Config` of an image; keys with nothing in them are left out where Docker does."""
    shown: dict[str, Any] = {"Cmd": config.cmd, "Entrypoint": config.entrypoint, "Env": config.env}
    if config.exposed_ports:
        shown["ExposedPorts"] = dict(sorted(config.exposed_ports.items()))
    if config.healthcheck is not None:
        shown["Healthcheck"] = to_builtins(config.healthcheck)
    shown |= {"Labels": config.labels, "OnBuild": config.on_build}
    if config.shell:
        shown["Shell"] = config.shell
    if config.stop_signal:
        shown["StopSignal"] = config.stop_signal
    return {**shown, "User": config.user, "Volumes": config.volumes, "WorkingDir": config.working_dir}


async def image_history(call: Call) -> Reply:
    """GET /images/{name}/history: the newest step first, which alone has the image's id and names."""
    image = call.backend.images.find(call.ref)
    steps: list[dict[str, Any]] = [
        {
            "Comment": step.comment,
            "Created": step.created // SECOND,
            "CreatedBy": step.created_by,
            "Id": "<missing>",
            "Size": step.size,
            "Tags": None,
        }
        for step in reversed(image.history)
    ]
    if not steps:
        created = image.created // SECOND
        steps = [{"Comment": image.comment, "Created": created, "CreatedBy": "", "Id": "", "Size": image.size}]
    steps[0] |= {"Id": image.id, "Tags": image.tags or None}
    return json_reply(steps)


async def tag_image(call: Call) -> Reply:
    """POST /images/{name}/tag."""
    repository, tag = call.query("repo"), call.query("tag")
    await call.backend.images.tag(call.ref, repository, tag)
    return empty_reply(201)


async def delete_image(call: Call) -> Reply:
    """DELETE /images/{name}."""
    removed = await call.backend.images.remove(call.ref, force=call.flag("force"), prune=not call.flag("noprune"))
    return json_reply(_removed(removed))


async def prune_images(call: Call) -> Reply:
    """POST /images/prune."""
    wanted, dangling = pruned(parse_filters(call.query("filters")), call.now())
    removed, reclaimed = await call.backend.images.prune(wanted, dangling=dangling)
    return json_reply({"ImagesDeleted": _removed(removed) or None, "SpaceReclaimed": reclaimed})


async def distribution(call: Call) -> Reply:
    """GET /distribution/{name}/json."""
    credentials = call.request.headers.get("X-Registry-Auth", "")
    return json_reply(await call.backend.images.distribution(call.ref, credentials))


async def log_in(call: Call) -> Reply:
    """POST /auth: what `docker login` asks before the client keeps a password."""
    told = await call.required_body(AUTH)
    await call.backend.images.log_in(told.pop("serveraddress", ""), told)
    return json_reply({"IdentityToken": "", "Status": "Login Succeeded"})


def _removed(removed: list[Removed]) -> list[dict[str, str]]:
    return [{"Untagged": one.untagged} if one.untagged else {"Deleted": one.deleted} for one in removed]


def shared_sizes(call: Call) -> dict[str, int]:
    """Bytes of each image that other images have too."""
    shared: dict[str, int] = {image.id: 0 for image in call.backend.images.all()}
    for layer in call.backend.images.layers():
        if len(layer.images) > 1:
            for key in layer.images:
                shared[key] = shared.get(key, 0) + layer.size
    return shared


def image_summary(image: ImageView, containers: int, shared: int) -> dict[str, Any]:
    """One image of a list: how many containers were made of it, and the bytes that others have too (-1: not asked)."""
    return {
        "Containers": containers,
        "Created": image.created // SECOND,
        "Id": image.id,
        "Labels": image.config.labels,
        "ParentId": "",
        "RepoDigests": image.digests,
        "RepoTags": image.tags,
        "SharedSize": shared,
        "Size": image.size,
    }


ROUTES = (
    Route("GET", "/images/json", list_images),
    Route("POST", "/images/prune", prune_images),
    Route("GET", "/images/{ref}/json", inspect_image),
    Route("GET", "/images/{ref}/history", image_history),
    Route("POST", "/images/{ref}/tag", tag_image),
    Route("DELETE", "/images/{ref}", delete_image),
    Route("GET", "/distribution/{ref}/json", distribution),
    Route("POST", "/auth", log_in),
)
