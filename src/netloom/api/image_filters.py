"""The filters of image lists and of their prune."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from netloom.api.filters import Filters, has_label
from netloom.api.gotext import parse_until
from netloom.model.errors import InvalidArgument
from netloom.model.image import ImageView

LIST_KEYS = ("reference", "dangling", "label", "before", "since", "until")
PRUNE_KEYS = ("dangling", "label", "label!", "until")
Find = Callable[[str], ImageView]


def listed(images: Sequence[ImageView], filters: Filters, find: Find, now: int) -> list[ImageView]:
    """Those that pass, in the same order. With `reference`, they show only the names that match."""
    filters.check_keys(LIST_KEYS)
    dangling = _dangling(filters)
    after = max((find(ref).created for ref in filters.get("since")), default=None)
    before = min((find(ref).created for ref in filters.get("before")), default=None)
    until = min((parse_until(text, now) for text in filters.get("until")), default=None)
    patterns = [Pattern(text) for text in filters.get("reference")]
    shown = []
    for image in images:
        if (after is not None and image.created <= after) or (before is not None and image.created >= before):
            continue
        if until is not None and image.created >= until:
            continue
        if not filters.labels("label", image.config.labels or {}):
            continue
        if dangling is not None and dangling == bool(image.tags or image.digests):
            continue
        if patterns:
            matching = _matching(image, patterns)
            if matching.tags or matching.digests:
                shown.append(matching)
        else:
            shown.append(image)
    return shown


def pruned(filters: Filters, now: int) -> tuple[Callable[[ImageView], bool], bool]:
    """What prune may take, and whether only nameless ones."""
    filters.check_keys(PRUNE_KEYS)
    dangling = _dangling(filters)
    until = filters.get("until")
    if len(until) > 1:
        raise InvalidArgument("more than one until filter specified")
    end = parse_until(until[0], now) if until else None

    def wanted(image: ImageView) -> bool:
        labels = image.config.labels or {}
        return (
            (end is None or image.created < end)
            and filters.labels("label", labels)
            and not any(has_label(labels, one) for one in filters.get("label!"))
        )

    return wanted, dangling is not False


def _dangling(filters: Filters) -> bool | None:
    values = filters.get("dangling")
    if values and not set(values) <= {"1", "true", "0", "false"}:
        raise InvalidArgument(f"invalid filter 'dangling=[{' '.join(values)}]'")
    return filters.flag("dangling")


def _matching(image: ImageView, patterns: Sequence[Pattern]) -> ImageView:
    def match(name: str) -> bool:
        plain = _without_tag(name)
        return any(pattern.match(name) or pattern.match(plain) for pattern in patterns)

    return replace(image, tags=tuple(filter(match, image.tags)), digests=tuple(filter(match, image.digests)))


def _without_tag(name: str) -> str:
    name = name.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


class Pattern:
    """Go's path.Match: `*` and `?` stop at slashes, `[a-z]`, `[^a]`, and `\\` before a literal. Linear in time."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, Callable[[str], bool]]] = []
        rest = iter(text)
        for char in rest:
            if char == "*":
                self._tokens.append(("*", lambda c: c != "/"))
            elif char == "?":
                self._tokens.append(("1", lambda c: c != "/"))
            elif char == "[":
                self._tokens.append(("1", _class(rest)))
            else:
                literal = next(rest, "") if char == "\\" else char
                if not literal:
                    raise _bad()
                self._tokens.append(("1", literal.__eq__))

    def match(self, text: str) -> bool:
        """Does the whole text match?"""
        states = self._closed({0})
        for char in text:
            after = set()
            for state in states:
                if state < len(self._tokens):
                    kind, accepts = self._tokens[state]
                    if accepts(char):
                        after.add(state if kind == "*" else state + 1)
            states = self._closed(after)
            if not states:
                return False
        return len(self._tokens) in states

    def _closed(self, states: set[int]) -> set[int]:
        """Stars may also stand for nothing."""
        reached = set(states)
        for state in states:
            following = state
            while following < len(self._tokens) and self._tokens[following][0] == "*":
                following += 1
                reached.add(following)
        return reached


def _class(chars: Iterator[str]) -> Callable[[str], bool]:
    ranges: list[tuple[str, str]] = []
    first = next(chars, "")
    negated = first == "^"
    char = next(chars, "") if negated else first
    while char != "]" or not ranges:
        low = next(chars, "") if char == "\\" else char
        if not low or (low in "]-" and char != "\\"):
            raise _bad()
        high, char = low, next(chars, "")
        if char == "-":
            high = next(chars, "")
            high = next(chars, "") if high == "\\" else high
            if not high or high == "]":
                raise _bad()
            char = next(chars, "")
        ranges.append((low, high))
        if not char:
            raise _bad()
    return lambda c: any(low <= c <= high for low, high in ranges) != negated


def _bad() -> InvalidArgument:
    return InvalidArgument("syntax error in pattern")
