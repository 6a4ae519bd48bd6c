"""How much work is done, counted: the same at each try, unlike time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines_run(work: Callable[[], object], package: str = "/netloom/ipam/") -> int:
    """How many lines of the files whose path has `package` in it run during `work`."""
    count = 0

    def on_line(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        nonlocal count
        if package not in frame.f_code.co_filename or frame.f_code.co_filename.endswith("_test.py"):
            return None
        count += event == "line"
        return on_line

    before = sys.gettrace()
    sys.settrace(on_line)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
