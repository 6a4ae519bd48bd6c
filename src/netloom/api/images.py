"""Images, as far as there are any: list, inspect, history, and the pull that the docker CLI asks for."""

from __future__ import annotations

import platform
from typing import Any

from msgspec import to_builtins

from netloom.api.call import Call
from netloom.api.filters import parse_filters
from netloom.api.gotext import SECOND, rfc3339nano
from netloom.api.respond import JSON, Reply, json_reply
from netloom.api.routing import Route
from netloom.model.errors import InvalidArgument, NotFound, Unsupported
from netloom.model.image import ImageConfig, ImageView

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_FILTERS = ("reference", "dangling", "label", "before", "since", "until")


def with_tag(ref: str) -> str:
    """`host` and `docker.io/library/host` mean `host:latest`; a digest stays as it is."""
    ref = ref.removeprefix("docker.io/").removeprefix("library/")
    return ref if ":" in ref.rpartition("/")[2] or "@" in ref else f"{ref}:latest"


def find_image(images: list[ImageView], ref: str) -> ImageView:
    """By name, full id or id prefix. Raises NotFound with Docker's sentence."""
    digest = ref.removeprefix("sha256:")
    for image in images:
        if with_tag(ref) in image.tags or (len(digest) >= 4 and image.id.removeprefix("sha256:").startswith(digest)):
            return image
    raise NotFound(f"No such image: {with_tag(ref)}")


async def list_images(call: Call) -> Reply:
    """GET /images/json."""
    filters = parse_filters(call.query("filters"))
    filters.check_keys(_FILTERS)
    for key in ("before", "since", "until"):
        if key in filters:
            raise Unsupported(f"the image filter '{key}' is not supported by netloom yet")
    wanted = [with_tag(name) for name in filters.get("reference")]
    shown = [
        image
        for image in call.backend.images()
        if (not wanted or any(tag in wanted for tag in image.tags))
        and not filters.get("label")
        and filters.flag("dangling") is not True
    ]
    using = [container.image_id for container in call.backend.containers()]
    return json_reply([image_summary(image, using.count(image.id)) for image in shown])


async def inspect_image(call: Call) -> Reply:
    """GET /images/{name}/json."""
    image = find_image(call.backend.images(), call.ref)
    return json_reply(
        {
            "Id": image.id,
            "RepoTags": image.tags,
            "RepoDigests": [],
            "Parent": "",
            "Comment": image.comment,
            "Created": rfc3339nano(image.created),
            "DockerVersion": "",
            "Author": "",
            "Architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "Os": "linux",
            "Size": image.size,
            "GraphDriver": {"Data": None, "Name": "overlay2"},
            "RootFS": {"Type": "layers", "Layers": [image.id]},
            "Metadata": {"LastTagTime": rfc3339nano(image.created)},
            "Config": image_config_json(image.config),
        }
    )


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
    """GET /images/{name}/history: one layer."""
    image = find_image(call.backend.images(), call.ref)
    layer = {
        "Comment": image.comment,
        "Created": image.created // SECOND,
        "CreatedBy": "",
        "Id": image.id,
        "Size": image.size,
        "Tags": image.tags,
    }
    return json_reply([layer])


async def pull_image(call: Call) -> Reply:
    """POST /images/create: an image that is here is up to date; there is no registry to ask for another."""
    name, tag = call.query("fromImage"), call.query("tag")
    if not name:
        raise Unsupported("importing images is not supported by netloom yet (POST /images/create)")
    ref = with_tag(name if not tag else f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}")
    if any(char in ref for char in " \t\r\n\0"):
        raise InvalidArgument("invalid reference format")
    try:
        find_image(call.backend.images(), ref)
    except NotFound:
        raise Unsupported(
            f"pulling images is not supported by netloom yet: {ref}",
            remedy="the image `host` is always there: it runs the programs of this machine",
        ) from None
    return Reply(200, b'{"status":"Status: Image is up to date for %s"}\r\n' % ref.encode(), JSON)


def image_summary(image: ImageView, containers: int) -> dict[str, Any]:
    """One image of a list, with the number of containers that were made of it."""
    return {
        "Containers": containers,
        "Created": image.created // SECOND,
        "Id": image.id,
        "Labels": None,
        "ParentId": "",
        "RepoDigests": [],
        "RepoTags": image.tags,
        "SharedSize": -1,
        "Size": image.size,
    }


ROUTES = (
    Route("GET", "/images/json", list_images),
    Route("POST", "/images/create", pull_image),
    Route("GET", "/images/{ref}/json", inspect_image),
    Route("GET", "/images/{ref}/history", image_history),
)
