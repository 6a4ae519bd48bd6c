"""`--filter key=value` → the `filters` parameter."""

from __future__ import annotations

import json
from collections.abc import Sequence

from netloom.cli.errors import NOT_RUN, CliError


def filters(given: Sequence[str]) -> dict[str, str]:
    """Query parameters for the filters, none without filters. Values of one key add up."""
    collected: dict[str, dict[str, bool]] = {}
    for entry in given:
        key, equals, value = entry.partition("=")
        if not equals:
            raise CliError(
                f'invalid argument "{entry}" for "-f, --filter" flag: invalid filter (want name=value)', NOT_RUN
            )
        collected.setdefault(key.strip().lower(), {})[value.strip()] = True
    return {"filters": json.dumps(collected)} if collected else {}
