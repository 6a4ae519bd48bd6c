"""Programs started in a running container: create, start, inspect, resize."""

from __future__ import annotations

from typing import Any

from netloom.api.call import Call
from netloom.api.containers import terminal_size
from netloom.api.detach import parse_keys
from netloom.api.frames import frame
from netloom.api.requests import console_size, exec_config
from netloom.api.respond import Reply, Taken, empty_reply, json_reply
from netloom.api.routing import Route
from netloom.api.shapes import EXEC_CREATE, EXEC_START
from netloom.api.streams import Wiring, carry, take_over
from netloom.model.container import Exec
from netloom.model.errors import Conflict, InvalidArgument, NetloomError
from netloom.model.streams import STDERR, STDOUT, Attachment


async def create(call: Call) -> Reply:
    """POST /containers/{id}/exec."""
    config = exec_config(await call.body(EXEC_CREATE))
    try:
        parse_keys(config.detach_keys)
    except InvalidArgument as error:
        raise InvalidArgument(f"Invalid escape keys ({config.detach_keys}) provided") from error
    created = await call.backend.create_exec(call.ref, config)
    return json_reply({"Id": created.id}, 201)


async def start(call: Call) -> Reply | Taken:
    """POST /exec/{id}/start. A program that cannot be started says so in its output, as with Docker."""
    body = await call.body(EXEC_START)
    found = call.backend.exec(call.ref)
    if found.running:
        raise Conflict(f"exec command {found.id} is already running")
    if found.started:
        raise Conflict(f"exec command {found.id} has already run")
    tty = body.get("Tty", False)
    size = console_size(body) if call.version >= (1, 42) else None
    if size is not None and not tty:
        raise InvalidArgument("cannot specify console size with Tty=false", remedy="leave ConsoleSize out")
    config = found.config
    if body.get("Detach", False):
        attachment = await call.backend.start_exec(found.id, tty=config.tty, size=size or config.console_size)
        await attachment.close()
        return empty_reply()
    if not call.backend.container(found.container).state.running:
        raise Conflict(f"container {found.container} is not running")
    # The head goes out before the program runs: docker-py loses output that reaches it together with the head.
    client = await take_over(call, None, tty=tty)
    running: Attachment | None = None
    try:
        try:
            running = await call.backend.start_exec(found.id, tty=config.tty, size=size or config.console_size)
        except NetloomError as error:
            text = f"{error.message}\r\n".encode()
            await client.write(text if tty else frame(STDOUT, text))
        else:
            await carry(client, running, _wiring(found, tty=tty))
    except ConnectionError:
        pass  # the client has gone; the program runs on
    finally:
        client.close()
        if running is not None:
            await running.close()
    return Taken()


async def inspect(call: Call) -> Reply:
    """GET /exec/{id}/json."""
    return json_reply(exec_json(call.backend.exec(call.ref)))


async def resize(call: Call) -> Reply:
    """POST /exec/{id}/resize."""
    height, width = terminal_size(call)
    await call.backend.resize_exec(call.ref, height, width)
    return empty_reply()


def exec_json(found: Exec) -> dict[str, Any]:
    """As Docker shows it; ExitCode is null until it has ended."""
    config = found.config
    process: dict[str, Any] = {
        "tty": config.tty,
        "entrypoint": config.cmd[0],
        "arguments": config.cmd[1:],
        "privileged": config.privileged,
    }
    if config.user:
        process["user"] = config.user
    return {
        "ID": found.id,
        "Running": found.running,
        "ExitCode": found.exit_code,
        "ProcessConfig": process,
        "OpenStdin": config.attach_stdin,
        "OpenStderr": config.attach_stderr,
        "OpenStdout": config.attach_stdout,
        "CanRemove": False,
        "ContainerID": found.container,
        "DetachKeys": "" if not config.detach_keys else config.detach_keys,
        "Pid": found.pid,
    }


def _wiring(found: Exec, *, tty: bool) -> Wiring:
    config = found.config
    streams = [(STDOUT, config.attach_stdout), (STDERR, config.attach_stderr)]
    return Wiring(
        stdin=config.attach_stdin,
        streams=tuple(stream for stream, wanted in streams if wanted or tty),
        tty=tty,
        close_stdin=not config.tty,
        detach_keys=parse_keys(config.detach_keys) if config.tty else b"",
    )


ROUTES = (
    Route("POST", "/containers/{ref}/exec", create),
    Route("POST", "/exec/{ref}/start", start),
    Route("GET", "/exec/{ref}/json", inspect),
    Route("POST", "/exec/{ref}/resize", resize),
)
