"""/policies: who may reach whom. netloom's own; Docker has nothing like it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from netloom.api.call import Call
from netloom.api.gotext import rfc3339nano
from netloom.api.respond import Reply, empty_reply, json_reply
from netloom.api.routing import Route
from netloom.model.errors import InvalidArgument
from netloom.model.policy import Denial, Entry, Peer, Policy


async def list_policies(call: Call) -> Reply:
    """GET /policies."""
    return json_reply([_policy_json(policy, {}) for policy in call.backend.policies()])


async def inspect(call: Call) -> Reply:
    """GET /policies/{name}: with the connections that each entry denied, or would have."""
    policy = call.backend.policy(call.ref)
    return json_reply(_policy_json(policy, await call.backend.policy_hits()))


async def apply(call: Call) -> Reply:
    """POST /policies: put one in the place of that of its name. With `dryrun` what it would deny passes, counted."""
    try:
        document = msgspec.json.decode(await call.raw_body() or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from error
    policy = await call.backend.apply_policy(document, dry_run=call.flag("dryrun"))
    return json_reply(_policy_json(policy, {}), 201)


async def remove(call: Call) -> Reply:
    """DELETE /policies/{name}."""
    await call.backend.remove_policy(call.ref)
    return empty_reply(204)


async def log(call: Call) -> Reply:
    """GET /policies/log: the latest denials, oldest first."""
    return json_reply([_denial_json(denial) for denial in call.backend.denials()])


def _policy_json(policy: Policy, hits: Mapping[str, int]) -> dict[str, Any]:
    default = "trial_default" if policy.dry_run else "default"
    return {
        "Name": policy.name,
        "Created": rfc3339nano(policy.created),
        "DryRun": policy.dry_run,
        "Default": dict.fromkeys(policy.closed, "deny"),
        "DefaultHits": {network: hits.get(f"{default}/{network}", 0) for network in policy.closed},
        "Entries": [_entry_json(entry, hits.get(f"{policy.name}/{entry.name}", 0)) for entry in policy.entries],
    }


def _entry_json(entry: Entry, hits: int) -> dict[str, Any]:
    return {
        "Name": entry.name,
        "Verdict": "allow" if entry.allow else "deny",
        "From": _peer_json(entry.source),
        "To": _peer_json(entry.target),
        "Ports": [str(port) for port in entry.ports],
        "Hits": hits,
    }


def _peer_json(peer: Peer) -> dict[str, Any]:
    told = {
        "Container": peer.container or peer.owner,
        "Labels": list(peer.labels),
        "Network": peer.network,
        "CIDR": peer.cidr,
        "Name": peer.name,
        "Host": peer.host,
    }
    return {key: value for key, value in told.items() if value}


def _denial_json(denial: Denial) -> dict[str, Any]:
    return {
        "Time": rfc3339nano(denial.time_nano),
        "DryRun": denial.dry_run,
        "Protocol": denial.proto,
        "Source": {"Address": denial.source, "Port": denial.source_port, "Name": denial.source_name},
        "Target": {"Address": denial.target, "Port": denial.target_port, "Name": denial.target_name},
        "Entry": denial.entry,
    }


ROUTES = (
    Route("GET", "/policies", list_policies),
    Route("POST", "/policies", apply),
    Route("GET", "/policies/log", log),
    Route("GET", "/policies/{ref}", inspect),
    Route("DELETE", "/policies/{ref}", remove),
)
