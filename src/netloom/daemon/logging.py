"""The daemon's log on stderr: one record a line, as logfmt or JSON.

Fields come by the standard library's own `extra`: `log.info("attached", extra={"network": name})`. Whatever a value
holds, a record stays one line and its fields stay apart.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
WORDS = {level: word for word, level in LEVELS.items()}
BARE = re.compile(r"[\w./:@%+,\[\]-]+", re.ASCII)  # what logfmt needs no quotes for
STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(level: str, form: Literal["text", "json"] | str, stream: TextIO | None = None) -> None:
    """Send every record of this process from `level` on to `stream` (stderr). Calling it again replaces the former."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else Logfmt())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    logging.captureWarnings(True)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """A record's parts in the order in which they are shown."""
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    found: dict[str, Any] = {
        "time": time.replace("+00:00", "Z"),
        "level": WORDS.get(record.levelno, record.levelname.lower()),
        "msg": record.getMessage(),
        "from": record.name.removeprefix("netloom."),
    }
    found |= {key: value for key, value in vars(record).items() if key not in STANDARD}
    if record.exc_info and record.exc_info[1] is not None:
        found["error"] = repr(record.exc_info[1])
        found["trace"] = logging.Formatter().formatException(record.exc_info)
    return found


class Logfmt(logging.Formatter):
    """`time=… level=info msg="…" key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{_key(key)}={_value(value)}" for key, value in fields(record).items())


class JsonLines(logging.Formatter):
    """One JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(fields(record), default=str)


def _key(key: str) -> str:
    return re.sub(r"[\s=\"]", "_", key)


def _value(value: object) -> str:
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return shown if BARE.fullmatch(shown) else json.dumps(shown, ensure_ascii=False)
