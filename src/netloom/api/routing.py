"""The table of routes: the version stripped from the path, then at most three look-ups in dictionaries.

A route is written as Docker writes it: `/networks`, `/networks/{ref}`, `/networks/{ref}/connect`. What stands for
{ref} may hold slashes (names of networks and images do), so an exact path is tried first, then first and last part,
then the first part alone.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from netloom.api.respond import API_VERSION, MIN_API_VERSION
from netloom.model.errors import InvalidArgument

if TYPE_CHECKING:
    from netloom.api.call import Call

Handler = Callable[["Call"], Awaitable[Any]]
Version = tuple[int, int]

NEWEST: Version = (1, 51)
OLDEST: Version = (1, 24)
VERSIONS: dict[str, Version] = {f"v1.{minor}": (1, minor) for minor in range(OLDEST[1], NEWEST[1] + 1)}
_VERSION = re.compile(r"v[0-9.]+")


class Route(NamedTuple):
    """One line of the table."""

    method: str
    path: str
    handler: Handler


class Match(NamedTuple):
    """What a request's path means."""

    handler: Handler | None
    version: Version
    path: str  # without the version, percent-decoded
    ref: str


class Routes:
    """The whole table."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[tuple[str, str], Handler] = {}
        self._tail: dict[tuple[str, str, str], Handler] = {}
        self._whole: dict[tuple[str, str], Handler] = {}
        for method, path, handler in routes:
            first, _, rest = path[1:].partition("/")
            if "{ref}" not in path:
                self._exact[method, path] = handler
            elif rest == "{ref}":
                self._whole[method, first] = handler
            else:
                self._tail[method, first, rest.removeprefix("{ref}/")] = handler

    def find(self, method: str, path: str) -> Match:
        """The route of a raw path without its query. Raises InvalidArgument for a version that we do not speak."""
        version = NEWEST
        if "%" in path:
            path = unquote(path, errors="surrogateescape")
        if path.startswith("/v"):
            head, slash, rest = path[1:].partition("/")
            known = VERSIONS.get(head)
            if known is not None:
                version, path = known, slash + rest
            elif slash and _VERSION.fullmatch(head):
                check_version(head[1:])
                version, path = NEWEST, slash + rest
        handler = self._exact.get((method, path))
        if handler is not None:
            return Match(handler, version, path, "")
        if "//" in path or "/../" in path or "/./" in path or path.endswith(("/..", "/.")):
            return Match(None, version, path, "")  # Docker redirects to the clean path, which no client needs
        first, _, rest = path[1:].partition("/")
        ref, _, last = rest.rpartition("/")
        if ref:
            handler = self._tail.get((method, first, last))
            if handler is None and "/" in ref:
                ref, _, before = ref.rpartition("/")
                handler = self._tail.get((method, first, f"{before}/{last}"))
            if handler is not None:
                return Match(handler, version, path, ref)
        return Match(self._whole.get((method, first)) if rest else None, version, path, rest)


def check_version(text: str) -> None:
    """Raise InvalidArgument with Docker's sentence for a version outside of what we speak."""
    numbers = [int(part) if part.isdecimal() and len(part) < 10 else 0 for part in text.split(".")]
    if numbers < list(OLDEST):
        raise InvalidArgument(
            f"client version {text} is too old. Minimum supported API version is {MIN_API_VERSION}, "
            "please upgrade your client to a newer version"
        )
    if numbers > list(NEWEST):
        raise InvalidArgument(f"client version {text} is too new. Maximum supported API version is {API_VERSION}")
