"""Truth as Go's strconv.ParseBool reads it, and so Docker's options, filters and flags."""

from __future__ import annotations

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


def truth_of(value: str) -> bool | None:
    """None for what is neither true nor false."""
    return True if value in _TRUE else False if value in _FALSE else None
