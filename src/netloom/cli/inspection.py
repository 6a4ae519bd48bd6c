"""What the inspect commands print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from netloom.cli.errors import CliError, DaemonError
from netloom.cli.listing import template_of
from netloom.cli.template import TemplateError
from netloom.cli.template.functions import to_json


def inspected(references: Sequence[str], form: str, find: Callable[[str], Any]) -> int:
    """Print what `find` knows of each, then an error for each that it does not know; the exit status."""
    template = template_of(form)
    found: list[Any] = []
    errors: list[str] = []
    for reference in references:
        try:
            found.append(find(reference))
        except DaemonError as error:
            errors.append(error.text)
        except LookupError as error:
            errors.append(str(error.args[0]))
    if template is None:
        if form == "json":
            print(to_json(found))
        else:
            print(json.dumps(found, indent=4, ensure_ascii=False) if found else "[]")
    else:
        for value in found:
            try:
                print(template.render(value))
            except TemplateError as error:
                errors.append(f"template parsing error: {error}")
                print()
                break
    sys.stdout.flush()
    if errors:
        raise CliError("\n".join(errors))
    return 0
