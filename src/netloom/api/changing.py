"""Changing a container that stands: /containers/{id}/pause, unpause and update."""

from __future__ import annotations

from netloom.api.call import Call
from netloom.api.respond import Reply, empty_reply, json_reply
from netloom.api.routing import Route
from netloom.api.shapes import CONTAINER_UPDATE
from netloom.containers.updating import read_update


async def pause(call: Call) -> Reply:
    """POST /containers/{id}/pause."""
    await call.backend.pause(call.ref)
    return empty_reply(204)


async def unpause(call: Call) -> Reply:
    """POST /containers/{id}/unpause."""
    await call.backend.unpause(call.ref)
    return empty_reply(204)


async def update(call: Call) -> Reply:
    """POST /containers/{id}/update."""
    await call.backend.update(call.ref, read_update(await call.required_body(CONTAINER_UPDATE)))
    return json_reply({"Warnings": None})


ROUTES = (
    Route("POST", "/containers/{ref}/pause", pause),
    Route("POST", "/containers/{ref}/unpause", unpause),
    Route("POST", "/containers/{ref}/update", update),
)
