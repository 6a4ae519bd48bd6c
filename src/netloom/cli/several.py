"""Commands on several objects: each is tried, what worked is printed, what did not is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from netloom.cli.errors import GENERAL, DaemonError


def each(references: Sequence[str], act: Callable[[str], None], tell: Callable[[DaemonError], str] = str) -> list[str]:
    """Act on each in turn and print its name; the names of those that failed, whose errors were printed."""
    failed = []
    for reference in references:
        try:
            act(reference)
        except DaemonError as error:
            sys.stdout.flush()
            print(tell(error), file=sys.stderr)
            failed.append(reference)
        else:
            print(reference)
    return failed


def status(failed: Sequence[str]) -> int:
    """The exit status after `each`."""
    return GENERAL if failed else 0
