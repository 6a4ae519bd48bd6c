"""Creates a container for `run` and `create`, pulling its image where it is missing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from netloom.cli.client import Client
from netloom.cli.errors import NOT_RUN, CliError, DaemonError
from netloom.cli.flags import Arguments


def create(client: Client, arguments: Arguments, body: dict[str, Any]) -> str:
    """The id of the new container. Warnings go to standard error, the id into `--cidfile`."""
    if arguments.pull not in ("always", "missing", "never", ""):
        raise CliError(
            f'invalid pull option: \'{arguments.pull}\': must be one of "always", "missing" or "never"', NOT_RUN
        )
    if arguments.cidfile and os.path.exists(arguments.cidfile):
        raise CliError(
            "container ID file found, make sure the other container isn't running or delete " + arguments.cidfile,
            NOT_RUN,
        )
    if arguments.pull == "always":
        _pull(client, body["Image"], quiet=arguments.quiet)
    query = {"name": arguments.name} if arguments.name else {}
    try:
        made = client.post("/containers/create", body, query)
    except DaemonError as error:
        if error.status != 404 or "No such image" not in error.message or arguments.pull == "never":
            raise
        print(f"Unable to find image '{body['Image']}' locally", file=sys.stderr)
        try:
            _pull(client, body["Image"], quiet=arguments.quiet)
        except DaemonError as refused:
            # a daemon without registries: what is missing is the image
            raise (error if refused.status == 501 else refused) from None
        made = client.post("/containers/create", body, query)
    for warning in made.get("Warnings") or ():
        print(f"WARNING: {warning}", file=sys.stderr)
    if arguments.cidfile:
        Path(arguments.cidfile).write_text(made["Id"])
    return str(made["Id"])


def _pull(client: Client, image: str, *, quiet: bool) -> None:
    digest = "@" in image
    repository, tag = (image, "") if digest else _split(image)
    rest = b""
    for piece in client.begin("POST", "/images/create", {"fromImage": repository, "tag": tag}).pieces():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            _progress(line, quiet=quiet)
    _progress(rest, quiet=quiet)


def _split(image: str) -> tuple[str, str]:
    head, slash, last = image.rpartition("/")
    name, _, tag = last.partition(":")
    return head + slash + name, tag or "latest"


def _progress(line: bytes, *, quiet: bool) -> None:
    if not line.strip():
        return
    told = json.loads(line)
    if told.get("error"):
        raise CliError(told["error"], NOT_RUN)
    if not quiet and told.get("status") and not told.get("progress"):
        print(f"{told['id']}: {told['status']}" if told.get("id") else told["status"], file=sys.stderr)
