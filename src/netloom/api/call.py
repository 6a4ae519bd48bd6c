"""One request, as the handlers see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from netloom.api import web
from netloom.api.backend import Backend
from netloom.api.decode import BODY_LIMIT, Object, check_content_type, decode
from netloom.api.gotext import parse_int
from netloom.api.routing import Match
from netloom.api.status import TooLarge
from netloom.api.web import HttpProcessingError
from netloom.model.errors import InvalidArgument

if TYPE_CHECKING:
    from netloom.api.connection import Connection

_FALSE = ("", "0", "no", "false", "none")


class Call:
    """A request: what it names, its query and body, and the engine that answers it."""

    __slots__ = ("_query", "backend", "method", "now", "path", "ref", "request", "version")

    def __init__(self, request: web.BaseRequest, match: Match, backend: Backend, now: Callable[[], int]) -> None:
        self.request = request
        self.method = request.method
        self.path = match.path
        self.ref = match.ref
        self.version = match.version
        self.backend = backend
        self.now = now
        self._query: dict[str, str] | None = None

    @property
    def connection(self) -> Connection:
        """The connection that it came by."""
        protocol: Any = self.request.protocol
        return protocol  # type: ignore[no-any-return]

    def query(self, name: str, default: str = "") -> str:
        """A parameter's first value."""
        if self._query is None:
            self._query = parse_query(self.request.raw_path)
        return self._query.get(name, default)

    def queries(self, name: str) -> list[str]:
        """Every value of a parameter that may be given more than once."""
        return [value for key, value in query_pairs(self.request.raw_path) if key == name]

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A parameter that Docker takes for a boolean: anything but an empty or negative word is true."""
        return self.query(name, "1" if default else "").strip().lower() not in _FALSE

    def integer(self, name: str) -> int | None:
        """A parameter that is a whole number; None when it is empty or absent."""
        text = self.query(name)
        return parse_int(text) if text else None

    async def raw_body(self) -> bytes:
        """The body, up to the limit."""
        request = self.request
        if not request.can_read_body:
            return b""
        if (request.content_length or 0) > BODY_LIMIT:
            raise _too_large()
        if (encoding := request.headers.get("Content-Encoding", "identity")) != "identity":
            raise InvalidArgument(f"unsupported Content-Encoding header ({encoding}): send the body as it is")
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in request.content.iter_any():
                size += len(piece)
                if size > BODY_LIMIT:
                    raise _too_large()
                pieces.append(piece)
        except (web.RequestPayloadError, HttpProcessingError) as error:
            raise InvalidArgument(f"the request's body is malformed: {error}") from error
        return b"".join(pieces)

    async def body(self, shape: Object) -> dict[str, Any]:
        """The body as that shape; an empty one is the zero value."""
        body = await self.raw_body()
        if not body:
            return {}
        check_content_type(self.request.headers.get("Content-Type"))
        return decode(body, shape)

    async def required_body(self, shape: Object) -> dict[str, Any]:
        """The same where an empty body makes no sense."""
        body = await self.raw_body()
        if body:
            check_content_type(self.request.headers.get("Content-Type"))
        return decode(body, shape)


def _too_large() -> TooLarge:
    return TooLarge(f"the request's body is too large: at most {BODY_LIMIT} bytes are read")


def parse_query(raw_path: str) -> dict[str, str]:
    """The first value of each parameter of a raw path."""
    found: dict[str, str] = {}
    for name, value in query_pairs(raw_path):
        found.setdefault(name, value)
    return found


def query_pairs(raw_path: str) -> list[tuple[str, str]]:
    """The parameters of a raw path, as they come."""
    _, _, text = raw_path.partition("?")
    text = text.partition("#")[0]
    if not text:
        return []
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise InvalidArgument(f"invalid query: {error}") from error
