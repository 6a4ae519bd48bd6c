"""/networks: list, inspect, create, delete, connect, disconnect, prune."""

from __future__ import annotations

import unicodedata
from typing import Any

from netloom.api.call import Call
from netloom.api.filters import parse_filters
from netloom.api.gotext import parse_bool
from netloom.api.network_filters import listed, prunable
from netloom.api.network_json import Own, bridge_json, containers_json, network_json, status_json
from netloom.api.requests import endpoint_config, network_request
from netloom.api.respond import Reply, empty_reply, json_reply
from netloom.api.routing import Route
from netloom.api.shapes import CONNECT, DISCONNECT, NETWORK_CREATE
from netloom.drivers.bridge import bridge_addresses, guard_of
from netloom.drivers.parents import host_access, host_addresses, shim_name
from netloom.model.endpoint import Endpoint
from netloom.model.errors import InvalidArgument, NetloomError, NotFound
from netloom.model.network import Network


async def list_networks(call: Call) -> Reply:
    """GET /networks: without their containers, as Docker has it since 1.28."""
    filters = parse_filters(call.query("filters"))
    backend = call.backend
    shown = listed(backend.networks(), filters, lambda network: bool(backend.endpoints(network)))
    with_containers = call.version < (1, 28)
    return json_reply(
        [network_json(network, _containers(call, network.id) if with_containers else {}) for network in shown]
    )


async def inspect_network(call: Call) -> Reply:
    """GET /networks/{id}. `netloom=1`, as parameter or header, adds what is netloom's own: the bridge, and each
    container's host interface and guard.

    It also adds `Status`, which Docker has since 1.52: an older client must not meet keys that its version lacks.
    """
    verbose = call.query("verbose")
    if verbose:
        try:
            parse_bool(verbose)
        except NetloomError as error:
            raise InvalidArgument(f"invalid value for verbose: {verbose}: {error}") from error
    network = call.backend.network(call.ref)
    scope = call.query("scope")
    if scope and network.scope != scope:
        raise NotFound(f"network {call.ref} not found")
    own = call.flag("netloom") or call.request.headers.get("Netloom", "") == "1"
    containers = _containers(call, network.id, _own_of(call, network) if own else None)
    shown = network_json(network, containers)
    if own and network.bridge:
        shown["Bridge"] = bridge_json(network, bridge_addresses(network))
    if own and host_access(network):
        shown["HostAccess"] = {"Interface": shim_name(network), "Addresses": host_addresses(network)}
    if own or call.version >= (1, 52):
        shown["Status"] = status_json(call.backend.subnet_figures(network.id))
    return json_reply(shown)


async def create_network(call: Call) -> Reply:
    """POST /networks/create."""
    request = network_request(await call.body(NETWORK_CREATE))
    if not request.name.strip():
        raise InvalidArgument("invalid name: name is empty")
    if any(unicodedata.category(char) == "Cc" for char in request.name):
        raise InvalidArgument("invalid name: name holds a control character")  # it could forge a line of a log or list
    network = await call.backend.create_network(request)
    return json_reply({"Id": network.id, "Warning": _warning(network)}, 201)


async def delete_network(call: Call) -> Reply:
    """DELETE /networks/{id}."""
    await call.backend.delete_network(call.ref)
    return empty_reply(204)


async def connect(call: Call) -> Reply:
    """POST /networks/{id}/connect."""
    body = await call.body(CONNECT)
    await call.backend.connect(call.ref, body.get("Container", ""), endpoint_config(body.get("EndpointConfig")))
    return empty_reply()


async def disconnect(call: Call) -> Reply:
    """POST /networks/{id}/disconnect."""
    body = await call.body(DISCONNECT)
    await call.backend.disconnect(call.ref, body.get("Container", ""), force=body.get("Force", False))
    return empty_reply()


async def prune(call: Call) -> Reply:
    """POST /networks/prune: remove what nobody uses."""
    filters = parse_filters(call.query("filters"))
    candidates = prunable(call.backend.networks(), filters, call.now())
    deleted = await call.backend.prune_networks([network.id for network in candidates])
    return json_reply({"NetworksDeleted": deleted or None})


def _warning(network: Network) -> str:
    """Docker takes and shows options of IPAM, and its default driver reads none: whoever sets one should know."""
    if not network.ipam_options or network.ipam_driver != "default":
        return ""
    return f"the default IPAM driver has no options, ignored: {', '.join(sorted(network.ipam_options))}"


def _containers(call: Call, network: str, own_of: Own | None = None) -> dict[str, Any]:
    backend = call.backend
    return containers_json(backend.endpoints(network), lambda key: backend.container(key).name, own_of)


def _own_of(call: Call, network: Network) -> Own:
    """Docker's clients do not ask for it."""

    def own(endpoint: Endpoint) -> dict[str, str]:
        shown = {"HostInterface": call.backend.host_interface(endpoint)}
        return shown | ({"Guard": guard_of(network, endpoint)} if network.driver == "bridge" else {})

    return own


ROUTES = (
    Route("GET", "/networks", list_networks),
    Route("GET", "/networks/", list_networks),
    Route("GET", "/networks/{ref}", inspect_network),
    Route("POST", "/networks/create", create_network),
    Route("POST", "/networks/{ref}/connect", connect),
    Route("POST", "/networks/{ref}/disconnect", disconnect),
    Route("POST", "/networks/prune", prune),
    Route("DELETE", "/networks/{ref}", delete_network),
)
