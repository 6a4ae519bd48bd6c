"""Log drivers and their options, as conmon can carry them out: one file per container that begins anew when it is full.

`local` and `json-file` are the same file here; readers see no difference.
"""

from __future__ import annotations

import re

from msgspec import Struct

from netloom.model.errors import Failed, InvalidArgument, Unsupported
from netloom.model.host_config import HostConfig, LogConfig

NONE = "none"
_FILES = ("json-file", "local")
_ELSEWHERE = frozenset("awslogs fluentd gelf journald splunk syslog gcplogs etwlogs".split())
_KNOWN = frozenset(
    "max-size max-file compress labels labels-regex env env-regex tag mode max-buffer-size cache-disabled".split()
)
_CARRIED_OUT = frozenset({"max-size", "max-file", "compress", "mode"})
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}
_LOCAL = {"max-size": "20m", "max-file": "5"}  # Docker's defaults of `local`
_PREFIX = "failed to create task for container: failed to initialize logging driver: "


class LogFile(Struct, frozen=True):
    """Where output goes: into a file, or nowhere; `limit` in bytes, 0 for none."""

    kept: bool = True
    limit: int = 0


def check(config: LogConfig) -> None:
    """Raise for a driver or an option that is not there: InvalidArgument where Docker has none, else Unsupported."""
    kind, options = config.type or _FILES[0], config.config
    if kind == NONE:
        return
    if kind in _ELSEWHERE:
        raise Unsupported(f"log driver {kind} is not supported by netloom", remedy="use json-file, local or none")
    if kind not in _FILES:
        raise InvalidArgument(f'error looking up logging plugin {kind}: plugin "{kind}" not found')
    for name, value in options.items():
        if name not in _KNOWN:
            raise InvalidArgument(f"unknown log opt '{name}' for {kind} log driver")
        if name == "mode" and value not in ("blocking", "non-blocking", ""):
            raise InvalidArgument(f"logger: logging mode not supported: {value}")
        if name == "max-buffer-size" and options.get("mode") != "non-blocking":
            raise InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    for name, value in options.items():
        if name not in _CARRIED_OUT or (name, value) == ("mode", "non-blocking"):
            raise Unsupported(f"log opt '{name}={value}' is not supported by netloom", remedy="leave it out")


def log_file(host_config: HostConfig) -> LogFile:
    """What the container's output goes to. Raises Failed with the sentences that Docker's start gives."""
    config = host_config.log_config
    if config.type == NONE:
        return LogFile(kept=False)
    options = {**(_LOCAL if config.type == "local" else {}), **config.config}
    size = _size(options.get("max-size", ""))
    files = _integer(options.get("max-file", "1"))
    if files < 1:
        raise Failed(f"{_PREFIX}max-file cannot be less than 1")
    if _truth(options.get("compress", "false")) and (not size or files < 2):
        raise Failed(f"{_PREFIX}compress cannot be true when max-file is less than 2 or max-size is not set")
    return LogFile(limit=size * files)


def _size(text: str) -> int:
    """`10m` in bytes; nothing means no bound."""
    if not text:
        return 0
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", text.lower(), re.ASCII)
    if match is None:
        raise Failed(f"{_PREFIX}invalid size: '{text}'")
    size = int(float(match[1]) * (1 << _UNITS[match[2]]))
    if size <= 0:
        raise Failed(f"{_PREFIX}max-size must be a positive number")
    return size


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise Failed(f'{_PREFIX}strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def _truth(text: str) -> bool:
    lowered = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
    if text.lower() not in lowered:
        raise Failed(f'{_PREFIX}strconv.ParseBool: parsing "{text}": invalid syntax')
    return lowered[text.lower()]
