"""Named points at which a test lets the daemon die, as kill -9 would: nothing of it in ordinary life.

NETLOOM_STOP_AT=NAME:COUNT ends the process at the COUNT-th time that it passes NAME (`any` counts every point).
With the name `count` nothing ends: how many were passed is told at the ordinary end.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable

VARIABLE = "NETLOOM_STOP_AT"


def stop_points() -> Callable[[str], None] | None:
    """What to call at each point; None where nobody asks for it."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    name, _, number = text.partition(":")
    left = int(number or 1)
    if name == "count":
        return _counted()

    def at(point: str) -> None:
        nonlocal left
        if name in ("any", point):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return at


def _counted() -> Callable[[str], None]:
    passed = 0

    def at(point: str) -> None:
        nonlocal passed
        passed += 1

    atexit.register(lambda: print(f"stop points passed: {passed}", file=sys.stderr))
    return at
