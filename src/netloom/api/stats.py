"""/containers/{id}/stats: what a container uses, once or as a stream of one sample a second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import to_builtins

from netloom.api import web
from netloom.api.call import Call
from netloom.api.gotext import rfc3339nano
from netloom.api.respond import JSON, Reply, json_reply
from netloom.api.routing import Route
from netloom.api.streaming import Stream
from netloom.model.errors import InvalidArgument, NotFound
from netloom.model.usage import BlockCount, Usage

SECONDS = 1.0  # between two samples

_encode = msgspec.json.Encoder().encode
# Of block devices only these two are counted, and the others are lists all the same where anything is.
_UNCOUNTED = ("queue", "service_time", "wait_time", "merged", "time")


async def stats(call: Call) -> Reply | web.StreamResponse:
    """GET /containers/{id}/stats."""
    backend = call.backend
    container = backend.container(call.ref)
    streaming, once = call.flag("stream", default=True), call.flag("one-shot")
    if streaming and once:
        raise InvalidArgument("cannot have stream=true and one-shot=true")
    former = Usage()
    if not streaming:
        if once or not container.state.running:
            now = await backend.usage(container.id)
            return json_reply({**({} if once else _names(call, container.id)), **stats_json(now, former)})
        former = await backend.usage(container.id)
        await asyncio.sleep(SECONDS)
        now = await backend.usage(container.id)
        return json_reply({**_names(call, container.id), **stats_json(now, former)})
    loop = asyncio.get_running_loop()
    async with Stream(call, JSON) as stream:
        due = loop.time()
        while True:
            try:
                now = await backend.usage(container.id)
                line = {**_names(call, container.id), **stats_json(now, former)}
            except NotFound:  # it was removed
                break
            await stream.write(_encode(line) + b"\n")
            former = now
            due = max(due + SECONDS, loop.time())  # for a slow reader none pile up
            await asyncio.sleep(due - loop.time())
    return stream.response


def _names(call: Call, key: str) -> dict[str, Any]:
    return {"name": f"/{call.backend.container(key).name}", "id": key}


def stats_json(now: Usage, former: Usage) -> dict[str, Any]:
    """One sample, and the CPU's part of the one before, as Docker shows them. An empty sample has no figures."""
    pids = {"current": now.pids, "limit": now.pids_limit}
    shown: dict[str, Any] = {
        "read": rfc3339nano(now.read),
        "preread": rfc3339nano(former.read),
        "pids_stats": _present(pids),
        "blkio_stats": _blocks(now),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(now),
        "precpu_stats": _cpu(former),
        "memory_stats": _memory(now),
    }
    if now.networks:
        shown["networks"] = to_builtins(now.networks)
    return shown


def _cpu(usage: Usage) -> dict[str, Any]:
    times: dict[str, Any] = {"total_usage": usage.cpu_total}
    if usage.cpu_each:
        times["percpu_usage"] = usage.cpu_each
    times |= {"usage_in_kernelmode": usage.cpu_kernel, "usage_in_usermode": usage.cpu_user}
    return {
        "cpu_usage": times,
        **_present({"system_cpu_usage": usage.system_cpu, "online_cpus": usage.online_cpus}),
        "throttling_data": to_builtins(usage.throttling),
    }


def _memory(usage: Usage) -> dict[str, Any]:
    shown: dict[str, Any] = _present({"usage": usage.memory, "max_usage": usage.memory_highest})
    if usage.memory_stats:
        shown["stats"] = usage.memory_stats
    return shown | _present({"failcnt": usage.memory_failures, "limit": usage.memory_limit})


def _blocks(usage: Usage) -> dict[str, Any]:
    nothing: list[Any] | None = [] if usage.block_operations is not None else None
    shown: dict[str, Any] = {
        "io_service_bytes_recursive": _counts(usage.block_bytes),
        "io_serviced_recursive": _counts(usage.block_operations),
    }
    shown |= {f"io_{name}_recursive": nothing for name in _UNCOUNTED}
    shown["sectors_recursive"] = nothing
    return shown


def _counts(rows: Iterable[BlockCount] | None) -> list[Any] | None:
    return None if rows is None else to_builtins(tuple(rows))


def _present(values: dict[str, int]) -> dict[str, int]:
    return {key: value for key, value in values.items() if value}


ROUTES = (Route("GET", "/containers/{ref}/stats", stats),)
