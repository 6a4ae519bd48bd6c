"""Points in time and spans as docker's commands read and write them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from netloom.cli.errors import CliError

_SPAN = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_FRACTION = re.compile(r"\.(\d+)")


def human_span(seconds: float) -> str:
    """`Less than a second`, `About a minute`, `3 hours`: as docker rounds."""
    whole = int(seconds)
    minutes, hours = whole // 60, round(seconds / 3600)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


def go_time(stamp: str) -> str:
    """`2026-11-24T18:42:43.23Z` → `2026-11-24 18:42:43.23 +0000 UTC`, as Go prints a time."""
    return stamp.replace("T", " ").removesuffix("Z") + " +0000 UTC" if stamp.endswith("Z") else stamp


def local_time(unix: int) -> str:
    """Seconds since the epoch as `2026-11-24 19:40:14 +0000 UTC`, in this machine's zone."""
    moment = datetime.fromtimestamp(unix).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S %z %Z")


def moment(text: str, option: str) -> str:
    """A time, seconds since the epoch or a span back from now, as `seconds.nanoseconds`."""
    if re.fullmatch(r"\d+(\.\d{1,9})?", text):
        return text
    if _SPAN.fullmatch(text):
        back = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
        now = time.time_ns() - int(back * 1e9)
        return f"{now // 10**9}.{now % 10**9:09}"
    try:
        found = datetime.fromisoformat(_FRACTION.sub("", text).replace("Z", "+00:00"))
    except ValueError:
        raise CliError(f'invalid value for "{option}": failed to parse value as time or duration: "{text}"') from None
    fraction = _FRACTION.search(text)
    # a time without a zone is this machine's
    return f"{int(found.astimezone(UTC).timestamp())}.{(fraction[1] if fraction else '').ljust(9, '0')[:9]}"
