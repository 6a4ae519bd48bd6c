"""Changing a container that stands: /containers/{id}/pause, unpause and update."""

from __future__ import annotations

from netloom.api.call import Call
from netloom.api.requests import port_specs
from netloom.api.respond import Reply, empty_reply, json_reply
from netloom.api.routing import Route
from netloom.api.shapes import CONTAINER_UPDATE, PORT_CHANGE
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


async def change_ports(call: Call) -> Reply:
    """POST /containers/{id}/netloom/ports, of netloom's own: `{"Add": PortBindings, "Remove": PortBindings}`."""
    body = await call.required_body(PORT_CHANGE)
    await call.backend.change_ports(call.ref, port_specs(body, "Add"), port_specs(body, "Remove"))
    return empty_reply(204)


ROUTES = (
    Route("POST", "/containers/{ref}/netloom/ports", change_ports),
    Route("POST", "/containers/{ref}/pause", pause),
    Route("POST", "/containers/{ref}/unpause", unpause),
    Route("POST", "/containers/{ref}/update", update),
)
