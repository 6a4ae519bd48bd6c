"""Which HTTP status each kind of failure becomes. Nothing else in netloom knows these numbers."""

from __future__ import annotations

import logging

from netloom.model.errors import (
    Conflict,
    Failed,
    Forbidden,
    InvalidArgument,
    NetloomError,
    NotFound,
    NotModified,
    Unavailable,
    Unsupported,
)

log = logging.getLogger(__name__)


class TooLarge(InvalidArgument):
    """The request's body is larger than any honest one."""


class FilterFailed(InvalidArgument):
    """A filter's value that Docker reports as its own failure; clients compare the status."""


# The most specific kind that matches counts.
STATUS: dict[type[NetloomError], int] = {
    TooLarge: 413,
    FilterFailed: 500,
    InvalidArgument: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    NotModified: 304,
    Failed: 500,
    Unsupported: 501,
    Unavailable: 503,
    NetloomError: 500,
}


def status_of(error: BaseException) -> int:
    """The HTTP status of a failure; what is not one of our kinds is a defect, 500."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def sentence_of(error: BaseException) -> str:
    """What the client reads; a defect is logged with its traceback and told without it."""
    if isinstance(error, NetloomError):
        return error.message
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(sentence_of(part) for part in error.exceptions)
    log.error("request failed by a defect", exc_info=error)
    return f"internal error: {type(error).__name__}: {error}"
