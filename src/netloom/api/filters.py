"""The `filters` parameter: decoded, checked, and the ways in which Docker matches a value."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import msgspec

from netloom.model.errors import InvalidArgument

_REPEATS = re.compile(r"[*+{]")
_REPEATED_GROUP = re.compile(r"\)[*+{]")


class Filters:
    """Values by key. Values of one key are alternatives; Docker keeps them as a set, so do we."""

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self.values = dict(values)

    def __bool__(self) -> bool:
        return bool(self.values)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def get(self, key: str) -> tuple[str, ...]:
        """The values of a key, none when it is not there."""
        return self.values.get(key, ())

    def check_keys(self, accepted: Collection[str]) -> None:
        """Raise InvalidArgument for a key that means nothing here."""
        for key in self.values:
            if key not in accepted:
                raise InvalidArgument(f"invalid filter '{key}'")

    def exact(self, key: str, value: str) -> bool:
        """Is the value one of those asked for, or nothing asked?"""
        wanted = self.get(key)
        return not wanted or value in wanted

    def match(self, key: str, *values: str) -> bool:
        """Does any of the values equal or match, as a regular expression, one asked for, or is nothing asked?"""
        wanted = self.get(key)
        if not wanted:
            return True
        return any(value == want or _search(want, value) for want in wanted for value in values)

    def labels(self, key: str, labels: Mapping[str, str]) -> bool:
        """Are all of `name` and `name=value` there?"""
        return all(has_label(labels, want) for want in self.get(key))

    def flag(self, key: str) -> bool | None:
        """A key that is true or false, None when it is not there."""
        wanted = self.get(key)
        if not wanted:
            return None
        if len(wanted) > 1:
            raise InvalidArgument(f'got more than one value for filter key "{key}"')
        if wanted[0] in ("1", "true"):
            return True
        if wanted[0] in ("0", "false"):
            return False
        raise InvalidArgument(f'invalid value for filter \'{key}\', must be "true" (or "1"), or "false" (or "0")')


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """`name` or `name=value`."""
    name, has_value, value = wanted.partition("=")
    return name in labels and (not has_value or labels[name] == value)


def parse_filters(text: str) -> Filters:
    """`{"name": ["a"]}`, or the older `{"name": {"a": true}}`; empty text means none."""
    if not text:
        return Filters({})
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidArgument("invalid filter") from error
    if raw is None:
        return Filters({})
    if type(raw) is not dict:
        raise InvalidArgument("invalid filter")
    return Filters({key: _values(value) for key, value in raw.items()})


def _values(value: object) -> tuple[str, ...]:
    if type(value) is dict:
        if not all(type(flag) is bool for flag in value.values()):
            raise InvalidArgument("invalid filter")
        return tuple(key for key, flag in value.items() if flag)
    if type(value) is list and all(type(item) is str for item in value):
        return tuple(dict.fromkeys(value))
    raise InvalidArgument("invalid filter")


def _search(pattern: str, value: str) -> bool:
    """Does a regular expression match somewhere? One that is none matches nothing, as with Docker.

    Go matches in linear time, `re` backtracks: what could keep us busy for long is refused.
    """
    if len(pattern) > 256 or len(_REPEATS.findall(pattern)) > 3 or _REPEATED_GROUP.search(pattern):
        raise InvalidArgument(f"invalid filter: pattern {pattern[:64]!r} is too complex", remedy="use plain text")
    try:
        return re.search(pattern, value[:4096]) is not None
    except (re.error, RecursionError, OverflowError):
        return False
