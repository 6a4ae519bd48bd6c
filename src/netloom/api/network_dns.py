"""/networks/{id}/dns: what a network's containers ask of their resolvers. netloom's own; Docker has nothing like it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from netloom.api import web
from netloom.api.call import Call
from netloom.api.gotext import SECOND, rfc3339nano
from netloom.api.respond import JSON, Reply, json_reply
from netloom.api.routing import Route
from netloom.api.streaming import Stream
from netloom.model.names import DnsCounts, DnsQuery

_POLL = 0.25  # seconds
_TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    35: "NAPTR",
    43: "DS",
    48: "DNSKEY",
    64: "SVCB",
    65: "HTTPS",
    255: "ANY",
    257: "CAA",
}
_CODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")


async def counts(call: Call) -> Reply:
    """GET /networks/{id}/dns: queries of each running container since its resolver was opened."""
    network = call.backend.network(call.ref)
    sight = await call.backend.names_asked(network.id)
    names = _names(call)
    rows = [{"Container": names.get(sandbox, sandbox[:12]), **_counts_json(one)} for sandbox, one in sight.counts]
    return json_reply(
        {"Network": network.name, "Containers": sorted(rows, key=lambda row: str(row["Container"]).encode())}
    )


async def queries(call: Call) -> web.StreamResponse:
    """GET /networks/{id}/dns/queries: one JSON object a line for each query from now on.

    Queries are recorded only while somebody reads them. `{"Lost": N}` tells of those that came too fast.
    """
    network = call.backend.network(call.ref)
    seen = (await call.backend.names_asked(network.id, 0)).recorded
    async with Stream(call, JSON) as stream:
        while True:
            sight = await call.backend.names_asked(network.id, seen)
            if sight.recorded < seen:
                seen = 0  # a data plane that was started anew counts from one again
                continue
            lost = sight.recorded - seen - len(sight.queries)
            lines = [{"Lost": lost}] if lost else []
            names = _names(call) if sight.queries else {}
            lines += [_query_json(query, names) for query in sight.queries]
            if lines:
                await stream.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            seen = sight.recorded
            await asyncio.sleep(_POLL)
    return stream.response


def _names(call: Call) -> dict[str, str]:
    """Names of containers by sandbox; of those that share one, the one that it belongs to."""
    shared = ("container:",)
    own = [c for c in call.backend.containers() if not c.host_config.network_mode.startswith(shared)]
    return {container.sandbox: container.name for container in own}


def _counts_json(counted: DnsCounts) -> dict[str, int]:
    elsewhere = counted.cached + counted.forwarded + counted.failed + counted.malformed
    return {
        "Queries": counted.queries,
        "Answered": max(0, counted.queries - elsewhere),  # from names of containers and records of the network
        "Cached": counted.cached,
        "Forwarded": counted.forwarded,
        "Failed": counted.failed,
        "Malformed": counted.malformed,
    }


def _query_json(query: DnsQuery, names: dict[str, str]) -> dict[str, Any]:
    return {
        "Time": rfc3339nano(int(query.time * SECOND)),
        "Container": names.get(query.sandbox, query.sandbox[:12]),
        "Name": query.name,
        "Type": _TYPES.get(query.kind, f"TYPE{query.kind}"),
        "Code": _CODES[query.rcode] if query.rcode < len(_CODES) else str(query.rcode),
        "Source": query.source,
        "Milliseconds": round(query.took * 1e3, 3),
    }


ROUTES = (
    Route("GET", "/networks/{ref}/dns", counts),
    Route("GET", "/networks/{ref}/dns/queries", queries),
)
