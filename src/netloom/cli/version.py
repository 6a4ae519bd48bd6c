"""`netloom version`."""

from __future__ import annotations

import os
import sys
from typing import Any

from netloom import __version__
from netloom.cli.client import API, Client
from netloom.cli.errors import CliError
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.listing import template_of
from netloom.cli.template import TemplateError
from netloom.cli.template.functions import to_json

USAGE = Usage(
    "version",
    "",
    0,
    0,
    "Show the version of client and daemon",
    (Flag("format", "f", help="'json' or a template"),),
)


def main(client: Client, arguments: Arguments) -> int:
    """Both versions; the client's alone, with an error, when no daemon answers."""
    mine = {
        "Version": __version__,
        "ApiVersion": API.removeprefix("/v"),
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
        "Os": sys.platform,
        "Arch": os.uname().machine,
    }
    template = template_of(arguments.format)
    failure: CliError | None = None
    theirs: dict[str, Any] | None = None
    try:
        theirs = client.get("/version")
    except CliError as error:
        failure = error
    whole = {"Client": mine, "Server": theirs}
    if arguments.format == "json":
        print(to_json(whole))
    elif template is not None:
        try:
            print(template.render(whole))
        except TemplateError as error:
            raise failure or CliError(f"failed to execute template: {error}") from None
    else:
        print(_text(mine, theirs), end="")
    if failure is not None:
        raise failure
    return 0


def _text(mine: dict[str, str], theirs: dict[str, Any] | None) -> str:
    lines = [
        "Client:",
        f" Version:           {mine['Version']}",
        f" API version:       {mine['ApiVersion']}",
        f" Python version:    {mine['PythonVersion']}",
        f" OS/Arch:           {mine['Os']}/{mine['Arch']}",
    ]
    for component in (theirs or {}).get("Components") or ():
        details = component.get("Details") or {}
        if len(lines) == 5:
            lines += ["", "Server:"]
        lines += [f" {component['Name']}:", f"  Version:          {component['Version']}"]
        if "ApiVersion" in details:
            lines.append(
                f"  API version:      {details['ApiVersion']} (minimum version {details.get('MinAPIVersion')})"
            )
        lines += [f"  {key + ':':17} {details[key]}" for key in ("GitCommit", "KernelVersion") if details.get(key)]
    return "\n".join(lines) + "\n"
