"""A question before what cannot be undone."""

from __future__ import annotations

import sys


def confirmed(warning: str) -> bool:
    """Ask on standard output, read the answer from standard input; anything but yes is no."""
    print(f"{warning}\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
