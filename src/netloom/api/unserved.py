"""Docker's routes that netloom does not have: each answers 501 and names itself, so that nobody searches in vain."""

from __future__ import annotations

from typing import NoReturn

from netloom.api.call import Call
from netloom.api.routing import Route
from netloom.model.errors import Unsupported

# What is missing, by the routes that it has in Docker (moby daemon/server/router).
_MISSING: dict[str, tuple[str, ...]] = {
    "copying files (docker cp)": ("POST /containers/{ref}/copy",),
    "making an image of a container": ("POST /commit",),
    "building images": ("POST /build", "POST /build/cancel", "POST /session", "POST /grpc"),
    "searching registries": ("GET /images/search",),
    "pushing images": ("POST /images/{ref}/push",),
    "plugins": (
        "GET /plugins",
        "GET /plugins/privileges",
        "POST /plugins/pull",
        "POST /plugins/create",
        "GET /plugins/{ref}/json",
        "POST /plugins/{ref}/enable",
        "POST /plugins/{ref}/disable",
        "POST /plugins/{ref}/push",
        "POST /plugins/{ref}/upgrade",
        "POST /plugins/{ref}/set",
        "DELETE /plugins/{ref}",
    ),
    "swarm mode": (
        "GET /swarm",
        "GET /swarm/unlockkey",
        "POST /swarm/init",
        "POST /swarm/join",
        "POST /swarm/leave",
        "POST /swarm/update",
        "POST /swarm/unlock",
        "GET /services",
        "POST /services/create",
        "GET /services/{ref}",
        "DELETE /services/{ref}",
        "POST /services/{ref}/update",
        "GET /services/{ref}/logs",
        "GET /nodes",
        "GET /nodes/{ref}",
        "DELETE /nodes/{ref}",
        "POST /nodes/{ref}/update",
        "GET /tasks",
        "GET /tasks/{ref}",
        "GET /tasks/{ref}/logs",
        "GET /secrets",
        "POST /secrets/create",
        "GET /secrets/{ref}",
        "DELETE /secrets/{ref}",
        "POST /secrets/{ref}/update",
        "GET /configs",
        "POST /configs/create",
        "GET /configs/{ref}",
        "DELETE /configs/{ref}",
        "POST /configs/{ref}/update",
    ),
    "checkpoints": (
        "GET /containers/{ref}/checkpoints",
        "POST /containers/{ref}/checkpoints",
    ),
}


_REMEDIES = {"building images": "build elsewhere (docker save), and take the image in with docker load"}


def _refusal(what: str, method: str, path: str) -> Route:
    async def refuse(call: Call) -> NoReturn:
        sentence = f"not supported by netloom yet: {what} ({method} {call.path})"
        raise Unsupported(sentence, remedy=_REMEDIES.get(what, ""))

    return Route(method, path, refuse)


ROUTES = tuple(_refusal(what, *line.split(" ", 1)) for what, lines in _MISSING.items() for line in lines)
