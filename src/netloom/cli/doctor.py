"""`netloom doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netloom.cli.client import Client
from netloom.cli.errors import CliError
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.listing import template_of
from netloom.cli.template import TemplateError
from netloom.cli.template.functions import to_json

USAGE = Usage(
    "doctor",
    "",
    0,
    0,
    "Tell what stands in the way of the host's networks, and what helps. The exit status is 1 when anything does",
    (Flag("format", "f", help="'json' or a template, for each finding"),),
)


def main(client: Client, arguments: Arguments) -> int:
    """List the findings; 1 when there are any."""
    answer = client.get("/netloom/doctor")
    findings: list[dict[str, Any]] = answer["Findings"]
    template = template_of(arguments.format)
    if arguments.format == "json":
        print(to_json(findings))
    elif template is not None:
        try:
            for finding in findings:
                print(template.render(finding))
        except TemplateError as error:
            raise CliError(f"failed to execute template: {error}") from None
    else:
        print("\n".join(map(_text, findings)) if findings else "nothing found")
        if answer["Repairs"]:
            print(f"put back since the daemon started: {answer['Repairs']} objects (event repair)")
    return 1 if findings else 0


def _text(finding: Mapping[str, Any]) -> str:
    return (
        f"{finding['Kind']}: {' and '.join(finding['Between'])}\n"
        f"  effect: {finding['Effect']}\n"
        f"  remedy: {finding['Remedy']}"
    )
