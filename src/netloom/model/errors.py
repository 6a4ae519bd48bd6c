"""The kinds of failure; only `api/status.py` knows which HTTP status each becomes.

NetloomError
├── InvalidArgument   what was asked makes no sense (400)
├── Forbidden         it makes sense and is not allowed: in use, predefined, overlapping (403)
├── NotFound          the object named does not exist (404)
├── Conflict          the name or the state is taken (409)
├── NotModified       it is so already; the caller is told, nothing is wrong (304)
├── Failed            the operation was tried and failed (500)
│   ├── Exhausted     a pool, a table or a limit is full; freeing something helps
│   └── KernelError   the kernel refused; carries errno
├── Unsupported       netloom does not have this, or not yet (501)
└── Unavailable       something that is needed is not there now; retrying helps (503)

A message is Docker's own sentence where Docker has one, then `: ` and the remedy where we know one.
"""

from __future__ import annotations

import os
from errno import ENOENT


class NetloomError(Exception):
    """Base of all failures that a user is told about."""

    retry = False
    exit_code = 128  # what a container shows whose start failed so

    def __init__(self, sentence: str, *, remedy: str = "") -> None:
        self.sentence = sentence
        self.remedy = remedy
        super().__init__(f"{sentence}: {remedy}" if remedy else sentence)

    @property
    def message(self) -> str:
        """What the client reads."""
        return str(self)


class InvalidArgument(NetloomError):
    """What was asked makes no sense."""


class Forbidden(NetloomError):
    """What was asked is not allowed as things stand."""


class NotFound(NetloomError):
    """The object named does not exist."""


class Conflict(NetloomError):
    """The name or the state is taken."""


class NotModified(NetloomError):
    """The state asked for is there already."""


class Failed(NetloomError):
    """The operation was tried and failed."""


class Exhausted(Failed):
    """A pool or a limit is full."""


class KernelError(Failed):
    """The kernel refused a step. `errno` is positive; `step` names the object and what was done to it."""

    def __init__(self, errno: int, step: str, *, detail: str = "", remedy: str = "") -> None:
        self.errno = errno
        self.step = step
        # "no such file or directory" is what the docker CLI takes for a program that is not there (exit 127).
        told = "not found" if errno == ENOENT else os.strerror(errno).lower()
        text = told + (f" ({detail})" if detail else "")
        super().__init__(f"{step}: {text}", remedy=remedy)


class Unsupported(NetloomError):
    """netloom does not have this, or not yet."""


class Unavailable(NetloomError):
    """Something that is needed is not there now."""

    retry = True
