"""Images that come and go: pull and import, load, save. Progress is one JSON object a line, told while it happens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from netloom.api import web
from netloom.api.call import Call
from netloom.api.respond import JSON, Reply
from netloom.api.routing import Route
from netloom.api.status import sentence_of
from netloom.api.streaming import Stream
from netloom.model.errors import Failed, Unsupported
from netloom.model.image import Progress

TAR = "application/x-tar"
_BAR = 50  # characters
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


async def create_image(call: Call) -> Reply | web.StreamResponse:
    """POST /images/create: a pull with `fromImage`, an import with `fromSrc`."""
    if call.query("fromImage"):
        return await _streamed(
            call,
            call.backend.images.pull(
                call.query("fromImage"),
                call.query("tag"),
                platform=call.query("platform"),
                credentials=call.request.headers.get("X-Registry-Auth", ""),
            ),
        )
    if call.query("fromSrc") != "-":
        raise Unsupported(
            "importing from a URL is not supported by netloom",
            remedy="fetch it and pipe it in: curl … | docker import -",
        )
    key = await call.backend.images.take_in(
        call.request.content.iter_any(),
        repository=call.query("repo"),
        tag=call.query("tag"),
        message=call.query("message"),
        changes=call.queries("changes"),
        platform=call.query("platform"),
    )
    return Reply(200, progress_line(Progress(status=key, bare=True)), JSON)


async def load_images(call: Call) -> Reply | web.StreamResponse:
    """POST /images/load."""
    lines = call.backend.images.load(call.request.content.iter_any())
    return await _streamed(call, _quiet(lines) if call.flag("quiet") else lines)


async def save_images(call: Call) -> web.StreamResponse:
    """GET /images/get?names=…"""
    return await _saved(call, call.queries("names"))


async def save_image(call: Call) -> web.StreamResponse:
    """GET /images/{name}/get."""
    return await _saved(call, [call.ref])


async def _saved(call: Call, names: list[str]) -> web.StreamResponse:
    async with aclosing(call.backend.images.save(names)) as pieces:
        first = await anext(pieces, b"")  # raises before the headers go out
        async with Stream(call, TAR) as stream:
            await stream.write(first)
            try:
                async for piece in pieces:
                    await stream.write(piece)
            except Failed:
                call.connection.close()  # an archive that is not whole must not look so
                raise
        return stream.response


async def _streamed(call: Call, lines: AsyncGenerator[Progress, None]) -> Reply | web.StreamResponse:
    """What fails before the first line is an error of its own, what fails later is the last line."""
    async with aclosing(lines):
        first = await anext(lines, None)
        if first is None:
            return Reply(200, b"", JSON)
        async with Stream(call, JSON) as stream:
            await stream.write(progress_line(first))
            try:
                async for line in lines:
                    await stream.write(progress_line(line))
            except ConnectionError:
                raise
            except Exception as error:
                message = sentence_of(error)
                await stream.write(_line({"errorDetail": {"message": message}, "error": message}))
        return stream.response


async def _quiet(lines: AsyncGenerator[Progress, None]) -> AsyncGenerator[Progress, None]:
    async with aclosing(lines):
        async for line in lines:
            if line.stream:
                yield line


def progress_line(line: Progress) -> bytes:
    """As Docker's clients read it (moby, pkg/jsonmessage)."""
    if line.stream:
        return _line({"stream": line.stream})
    fields: dict[str, object] = {"status": line.status}
    if not line.bare:
        fields["progressDetail"] = {"current": line.current, "total": line.total} if line.total else {}
    if line.total:
        fields["progress"] = progress_bar(line.current, line.total)
    if line.id:
        fields["id"] = line.id
    return _line(fields)


def progress_bar(current: int, total: int) -> str:
    """`[====>    ]  1.5MB/3MB`."""
    done = min(current * 100 // total, 100) // 2
    bar = "=" * done + ">" + " " * (_BAR - done)
    return f"[{bar}] {human_size(current):>8}/{human_size(total)}"


def human_size(size: float) -> str:
    """Four digits and a decimal unit (go-units HumanSize)."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.4g}{_UNITS[unit]}"


def _line(fields: dict[str, object]) -> bytes:
    return msgspec.json.encode(fields).replace(b">", b"\\u003e").replace(b"<", b"\\u003c") + b"\r\n"


ROUTES = (
    Route("POST", "/images/create", create_image),
    Route("POST", "/images/load", load_images),
    Route("GET", "/images/get", save_images),
    Route("GET", "/images/{ref}/get", save_image),
)
