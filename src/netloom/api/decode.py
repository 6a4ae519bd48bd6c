"""JSON bodies into plain values of a known shape, with the sentences that Docker's clients know from Go.

A shape mirrors one Go type. Keys match in their exact case, else in any case; null is the zero value; unknown keys
pass. What comes out holds only known keys, in their exact case, without nulls. A key that is there twice is refused,
where Go takes the last: it is two intents, and which of them a proxy or a policy in between has read nobody knows.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from netloom.api.gotext import quote
from netloom.api.jsonscan import Flaw, first_value_end
from netloom.model.errors import InvalidArgument

BODY_LIMIT = 4 << 20  # bytes; the largest honest request (a container with thousands of labels) has a tenth


class Mismatch(Exception):
    """A value of the wrong kind; `path` grows from the innermost key outwards."""

    def __init__(self, kind: str, go: str, *, bare: bool = False) -> None:
        self.kind = kind
        self.go = go
        self.bare = bare  # Go's own UnmarshalJSON does not know where it is
        self.path: list[str | int] = []

    def sentence(self, root: str) -> str:
        """As encoding/json of Go 1.27 says it, array elements without `Go struct field`."""
        if self.bare or not self.path:
            return f"json: cannot unmarshal {self.kind} into Go value of type {self.go}"
        path = ".".join(str(part).replace("~", "~0").replace("/", "~1") for part in reversed(self.path))
        field = "" if isinstance(self.path[0], int) else "Go struct field "
        return f"json: cannot unmarshal {self.kind} into {field}{root}.{path} of type {self.go}"


class Shape(Protocol):
    """One Go type: turns a decoded JSON value (never null) into ours, or raises Mismatch."""

    go: str

    def take(self, value: Any) -> Any: ...


def kind_of(value: Any) -> str:
    """JSON's name of the kind of a value."""
    if isinstance(value, bool):
        return "bool"
    return {dict: "object", list: "array", str: "string", int: "number", float: "number"}.get(type(value), "null")


class Text:
    """string."""

    def __init__(self, go: str = "string") -> None:
        self.go = go

    def take(self, value: Any) -> str:
        if type(value) is str:
            return value
        raise Mismatch(kind_of(value), self.go)


class Flag:
    """bool."""

    go = "bool"

    def take(self, value: Any) -> bool:
        if value is True or value is False:
            return value
        raise Mismatch(kind_of(value), self.go)


class Integer:
    """An integer type; a fraction or an overflow is named with the number itself."""

    def __init__(self, go: str = "int64", *, low: int = -(1 << 63), high: int = (1 << 63) - 1) -> None:
        self.go = go
        self.low = low
        self.high = high

    def take(self, value: Any) -> int:
        if type(value) is int and self.low <= value <= self.high:
            return value
        if type(value) in (int, float):
            raise Mismatch(f"number {value}", self.go)
        raise Mismatch(kind_of(value), self.go)


class Anything:
    """A key that is known and looked at elsewhere, whatever its value."""

    go = "interface {}"

    def take(self, value: Any) -> Any:
        return value


class ListOf:
    """[]T."""

    def __init__(self, item: Shape, go: str = "") -> None:
        self.item = item
        self.go = go or f"[]{item.go}"

    def take(self, value: Any) -> list[Any]:
        if type(value) is not list:
            raise Mismatch(kind_of(value), self.go)
        out = []
        for index, item in enumerate(value):
            try:
                out.append(zero(self.item) if item is None else self.item.take(item))
            except Mismatch as wrong:
                wrong.path.append(index)
                raise
        return out


class Words:
    """strslice.StrSlice: a list of strings, or one string that stands for a list of one."""

    go = "string"

    def take(self, value: Any) -> list[str]:
        if type(value) is str:
            return [value]
        if type(value) is list and all(type(item) is str for item in value):
            return value
        raise Mismatch(kind_of(value), self.go, bare=True)


class MapOf:
    """map[string]T."""

    def __init__(self, item: Shape, go: str = "") -> None:
        self.item = item
        self.go = go or f"map[string]{item.go}"

    def take(self, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Mismatch(kind_of(value), self.go)
        out = {}
        for key, item in value.items():
            try:
                out[key] = zero(self.item) if item is None else self.item.take(item)
            except Mismatch as wrong:
                wrong.path.append(key)
                raise
        return out


class Object:
    """A struct. `root` is how Go names it at the head of a path."""

    def __init__(self, go: str, fields: Mapping[str, Shape], *, root: str | None = None) -> None:
        self.go = go
        self.root = go.rpartition(".")[2] if root is None else root
        self.fields = dict(fields)
        self.folded = {sys.intern(name.lower()): name for name in fields}

    def take(self, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Mismatch(kind_of(value), self.go)
        out: dict[str, Any] = {}
        fields = self.fields
        for key, item in value.items():
            if item is None:
                continue
            name = key
            if name not in fields:
                folded = self.folded.get(key.lower())
                if folded is None:
                    continue
                name = folded
            if name in out:
                raise twice(name)
            try:
                out[name] = fields[name].take(item)
            except Mismatch as wrong:
                wrong.path.append(name)
                raise
        return out


def zero(shape: Shape) -> Any:
    """Go's zero value, for a null inside a list or a map."""
    match shape:
        case Text():
            return ""
        case Flag():
            return False
        case Integer():
            return 0
        case Object():
            return {}
        case _:
            return None


def twice(key: str) -> InvalidArgument:
    """The refusal of a duplicate key."""
    return InvalidArgument(f"invalid JSON: the key {quote(key)} is there twice", remedy="say it once")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A hook of the standard decoder, which is the one that sees duplicates."""
    known = dict(pairs)
    if len(known) < len(pairs):
        seen: set[str] = set()
        raise twice(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return known


_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_decoder = msgspec.json.Decoder()


def decode(body: bytes, shape: Object) -> dict[str, Any]:
    """The body as that shape; InvalidArgument with Go's sentence when it is not. An empty body is not for here.

    A NUL, which Go lets pass, is refused: no name, path or argument of the kernel can hold it.
    """
    try:
        value = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _explain(body, shape, error)
    if b"u0000" in body and _NUL.search(body):
        raise InvalidArgument("invalid JSON: text holds a NUL character")
    if body.count(b":") > 1:
        _scan(body)
    return _take(value, shape)


def _scan(body: bytes) -> Any:
    try:
        return json.loads(body, object_pairs_hook=_refuse_twins)
    except RecursionError:
        raise InvalidArgument("invalid JSON: exceeded max depth") from None


def _take(value: Any, shape: Object) -> dict[str, Any]:
    if value is None:
        return {}
    try:
        return shape.take(value)
    except Mismatch as wrong:
        raise InvalidArgument(f"invalid JSON: {wrong.sentence(shape.root)}") from None


def _explain(body: bytes, shape: Object, error: Exception) -> dict[str, Any]:
    """Raise what Go would say of a body that did not decode."""
    text = body.decode("utf-8", "replace")
    if not text.strip(" \t\r\n"):
        raise InvalidArgument("invalid JSON: got EOF while reading request body") from None
    try:
        end = first_value_end(text)
    except Flaw as flaw:
        raise InvalidArgument(f"invalid JSON: {flaw}") from None
    if text[end:].strip(" \t\r\n"):
        first = text[:end].encode()
        if len(first) < len(body):
            decode(first, shape)
        raise InvalidArgument("unexpected content after JSON")
    if isinstance(error, RecursionError):
        raise InvalidArgument("invalid JSON: exceeded max depth")
    return _take(_lenient(body), shape)


def _lenient(body: bytes) -> Any:
    """What our decoder does not take and Go does: numbers out of range, which fit no field of ours.

    Text that is no Unicode Go replaces silently, and makes names that nobody typed. We refuse it.
    """
    try:
        value = _scan(body)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise InvalidArgument(
            "invalid JSON: text is not valid Unicode", remedy="send UTF-8 without lone surrogates"
        ) from error
    except ValueError as error:
        raise InvalidArgument(f"invalid JSON: {error}") from error
    return value


def check_content_type(value: str | None) -> None:
    """Raise InvalidArgument unless a body that is there claims to be JSON."""
    if value == "application/json":
        return
    text = value or ""
    media = text.partition(";")[0].strip().lower()
    if not media:
        raise InvalidArgument(f"malformed Content-Type header ({text}): mime: no media type")
    if media != "application/json":
        raise InvalidArgument(f"unsupported Content-Type header ({text}): must be 'application/json'")
