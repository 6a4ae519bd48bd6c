"""How Go prints and parses small values, as Docker's clients see them: booleans, numbers, times, quoted text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from netloom.model.errors import InvalidArgument
from netloom.model.truth import truth_of

SECOND = 1_000_000_000
ZERO_TIME = "0001-01-01T00:00:00Z"

_INTEGER = re.compile(r"[+-]?[0-9]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?(Z|[+-]\d\d:\d\d)?"
)
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v", "\\": r"\\"}


def rfc3339nano(time_nano: int) -> str:
    """UTC with as many digits of the fraction as it needs, none for a whole second; 0 is Go's zero time."""
    if not time_nano:
        return ZERO_TIME
    seconds, nanos = divmod(time_nano, SECOND)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{nanos:09d}".rstrip("0") + "Z" if nanos else text + "Z"


def rfc3339nano_fixed(time_nano: int) -> str:
    """UTC with nine digits of the fraction, as log lines carry it."""
    seconds, nanos = divmod(time_nano, SECOND)
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S") + f".{nanos:09d}Z"


def quote(text: str) -> str:
    """strconv.Quote."""
    out = []
    for char in text:
        if char == '"':
            out.append('\\"')
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char.isprintable():
            out.append(char)
        elif ord(char) < 0x80:
            out.append(f"\\x{ord(char):02x}")
        else:
            out.append(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")
    return '"' + "".join(out) + '"'


def parse_bool(text: str) -> bool:
    """strconv.ParseBool."""
    truth = truth_of(text)
    if truth is None:
        raise InvalidArgument(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")
    return truth


def parse_int(text: str, function: str = "Atoi") -> int:
    """strconv.Atoi, or another function of that family by name; 64 bits."""
    if not _INTEGER.fullmatch(text):
        raise InvalidArgument(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    value = int(text) if len(text) < 40 else 1 << 64
    if not -(1 << 63) <= value < 1 << 63:
        raise InvalidArgument(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return value


def parse_duration(text: str) -> int | None:
    """A Go duration (`1h30m`) in ns; None when it is not one."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    position, total = 0, 0.0
    while match := _DURATION.match(rest, position):
        total += float(match[1]) * _UNITS[match[2]]
        position = match.end()
    return sign * int(total) if position and position == len(rest) else None


def parse_rfc3339(text: str) -> int | None:
    """A date, a time to the minute or second, with or without zone (then UTC), in ns; None when it is not one."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    day, clock, seconds, fraction, zone, day_zone = match.groups()
    zone = (zone or day_zone or "Z").replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}:{seconds or '00'}{zone}")
    except ValueError:
        return None
    return int((moment - _EPOCH).total_seconds()) * SECOND + int((fraction or "0").ljust(9, "0"))


def parse_unix(text: str) -> int | None:
    """Seconds with an optional fraction, in ns; None when it is not that."""
    seconds, _, fraction = text.partition(".")
    if not _INTEGER.fullmatch(seconds) or len(seconds) > 12 or not (not fraction or fraction.isdecimal()):
        return None
    nanos = int(fraction[:9].ljust(9, "0")) if fraction else 0
    return int(seconds) * SECOND + (nanos if not seconds.startswith("-") else -nanos)


def parse_timestamp(text: str) -> int:
    """The `since` and `until` of a stream: unix time with fraction, or RFC 3339; ns, 0 for empty."""
    if not text:
        return 0
    for parse in (parse_unix, parse_rfc3339):
        if (value := parse(text)) is not None:
            return value
    raise InvalidArgument(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")


def parse_until(text: str, now: int) -> int:
    """The `until` filter of prune: a duration back from now, RFC 3339 or unix time; ns."""
    duration = parse_duration(text)
    if duration is not None:
        return now - duration
    for parse in (parse_rfc3339, parse_unix):
        if (value := parse(text)) is not None:
            return value
    raise InvalidArgument(f"failed to parse value as time or duration: {quote(text)}")


def human_duration(nanos: int) -> str:
    """About how long, as `docker ps` says it (go-units HumanDuration)."""
    seconds = nanos // SECOND
    minutes = seconds // 60
    hours = (seconds + 1800) // 3600
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for limit, unit, name in ((24 * 14, 24, "days"), (24 * 60, 24 * 7, "weeks"), (24 * 730, 24 * 30, "months")):
        if hours < limit:
            return f"{hours // unit} {name}"
    return f"{seconds // 3600 // (24 * 365)} years"
