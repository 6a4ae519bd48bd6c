"""The functions of templates: Go's own and docker's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any


def go_text(value: Any, *, inner: bool = False) -> str:
    """A value as Go prints it: `map[a:1]`, `[x y]`, `true`, `<no value>`."""
    match value:
        case None:
            return "<nil>" if inner else "<no value>"
        case bool():
            return "true" if value else "false"
        case dict():
            return "map[" + " ".join(f"{key}:{go_text(value[key], inner=True)}" for key in sorted(value)) + "]"
        case list() | tuple():
            return "[" + " ".join(go_text(item, inner=True) for item in value) + "]"
    return str(value)


def truth(value: Any) -> bool:
    """Go's: empty and zero are false."""
    return bool(value)


def to_json(value: Any) -> str:
    """As Go's encoder, which also escapes what HTML would read."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is None:
            raise ValueError("index of untyped nil")
        if isinstance(value, dict):
            value = value.get(key, "")
        elif not isinstance(value, list | tuple | str):
            raise ValueError(f"can't index item of type {type(value).__name__}")
        elif not isinstance(key, int) or isinstance(key, bool):
            raise ValueError(f"cannot index slice/array with type {type(key).__name__}")
        elif not 0 <= key < len(value):
            raise ValueError(f"index out of range: {key}")
        else:
            value = value[key]
    return value


def _slice(value: Any, *bounds: int) -> Any:
    if not isinstance(value, list | tuple | str):
        raise ValueError("slice of what is no slice")
    for bound in bounds:
        if not 0 <= bound <= len(value):
            raise ValueError(f"index out of range: {bound}")
    return value[slice(*bounds[:2])] if len(bounds) > 1 else value[bounds[0] :] if bounds else value


def _printf(form: str, *values: Any) -> str:
    left = list(values)

    def one(found: re.Match[str]) -> str:
        flags, verb = found[1], found[2]
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        value = left.pop(0)
        if verb == "q":
            return ("%" + flags + "s") % to_json(str(value))
        if verb in "dxXofeg" and isinstance(value, int | float) and not isinstance(value, bool):
            return ("%" + flags + verb) % value
        if verb in "svt":
            return ("%" + flags + "s") % go_text(value, inner=True)
        return f"%!{verb}({go_text(value, inner=True)})"

    return re.sub(r"%([-+# 0]*\d*(?:\.\d+)?)([a-zA-Z%])", one, form)


def _len(value: Any) -> int:
    if value is None:
        raise ValueError("len of nil pointer")
    if not isinstance(value, dict | list | tuple | str):
        raise ValueError(f"len of type {type(value).__name__}")
    return len(value.encode() if isinstance(value, str) else value)


def _and(*values: Any) -> Any:
    return next((value for value in values if not truth(value)), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if truth(value)), values[-1])


def _eq(first: Any, *others: Any) -> bool:
    return any(first == other for other in others)


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": _and,
    "or": _or,
    "not": lambda value: not truth(value),
    "eq": _eq,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "index": _index,
    "slice": _slice,
    "len": _len,
    "print": lambda *values: " ".join(go_text(value, inner=True) for value in values),
    "println": lambda *values: " ".join(go_text(value, inner=True) for value in values) + "\n",
    "printf": _printf,
    "json": to_json,
    "split": lambda text, mark: text.split(mark),
    "join": lambda items, mark: mark.join(items or ()),
    "title": lambda text: re.sub(r"\b\w", lambda found: found[0].upper(), text),
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "pad": _pad,
    "truncate": lambda text, length: text[:length],
}
