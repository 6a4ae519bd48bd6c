"""Files of containers: HEAD, GET and PUT of /containers/{id}/archive, export and changes."""

from __future__ import annotations

import base64

import msgspec

from netloom.api import web
from netloom.api.call import Call
from netloom.api.gotext import rfc3339nano
from netloom.api.respond import Reply, empty_reply, json_reply
from netloom.api.routing import Route
from netloom.api.streaming import Stream
from netloom.api.web import HttpProcessingError
from netloom.model.archive import ArchiveReader, PathStat
from netloom.model.errors import Failed, InvalidArgument

_STAT = "X-Docker-Container-Path-Stat"
_TAR = "application/x-tar"


async def stat(call: Call) -> Reply:
    """HEAD /containers/{id}/archive."""
    found = await call.backend.stat_path(call.ref, _path(call))
    return Reply(200, extra=f"{_STAT}: {stat_header(found)}\r\n")


async def read(call: Call) -> web.StreamResponse:
    """GET /containers/{id}/archive."""
    reader = await call.backend.read_archive(call.ref, _path(call))
    return await _send(call, reader, _TAR, {_STAT: stat_header(reader.stat)})


async def export(call: Call) -> web.StreamResponse:
    """GET /containers/{id}/export."""
    return await _send(call, await call.backend.export(call.ref), "application/octet-stream", {})


async def write(call: Call) -> Reply:
    """PUT /containers/{id}/archive: the body goes through as it comes."""
    keep_kinds, own = call.flag("noOverwriteDirNonDir"), call.flag("copyUIDGID")
    writer = await call.backend.write_archive(call.ref, _path(call), keep_kinds=keep_kinds, own=own)
    try:
        async for piece in call.request.content.iter_any():
            await writer.write(piece)
        await writer.finish()
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise InvalidArgument(f"the request's body is malformed: {error}") from error
    finally:
        await writer.close()
    return empty_reply()


async def changes(call: Call) -> Reply:
    """GET /containers/{id}/changes."""
    found = await call.backend.changes(call.ref)
    return json_reply([{"Kind": change.kind, "Path": change.path} for change in found] or None)


def stat_header(found: PathStat) -> str:
    """Base64 of the JSON, as the docker CLI reads it."""
    body = {
        "name": found.name,
        "size": found.size,
        "mode": found.mode,
        "mtime": rfc3339nano(found.mtime_ns),
        "linkTarget": found.link_target,
    }
    return base64.b64encode(msgspec.json.encode(body)).decode()


async def _send(call: Call, reader: ArchiveReader, kind: str, headers: dict[str, str]) -> web.StreamResponse:
    try:
        async with Stream(call, kind, headers) as stream:
            try:
                while piece := await reader.read():
                    await stream.write(piece)
            except Failed as error:  # the headers are gone: only an end without the last chunk tells it
                call.connection.force_close()
                raise ConnectionResetError(str(error)) from error
        return stream.response
    finally:
        await reader.close()


def _path(call: Call) -> str:
    path = call.query("path")
    if not path:
        raise InvalidArgument("bad parameter: pathcannot be empty")
    if "\0" in path:
        raise InvalidArgument("bad parameter: path holds a zero byte")
    return path


ROUTES = (
    Route("HEAD", "/containers/{ref}/archive", stat),
    Route("GET", "/containers/{ref}/archive", read),
    Route("PUT", "/containers/{ref}/archive", write),
    Route("GET", "/containers/{ref}/export", export),
    Route("GET", "/containers/{ref}/changes", changes),
)
