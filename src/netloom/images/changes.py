"""`-c` of docker import and commit: Dockerfile's instructions applied to an image's configuration."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable
from typing import Any

from netloom.model.errors import InvalidArgument

_NANO = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_DEFAULT_SHELL = ["/bin/sh", "-c"]

Config = dict[str, Any]  # as in Docker's JSON


def apply(config: Config, changes: Iterable[str]) -> Config:
    """The configuration with the changes. Raises InvalidArgument in the words of Docker's parser."""
    config = dict(config)
    for change in changes:
        for line in re.sub(r"\\\n", "", change).splitlines():
            word, _, rest = line.strip().partition(" ")
            if not word or word.startswith("#"):
                continue
            instruction = _INSTRUCTIONS.get(word.upper())
            if instruction is None:
                raise InvalidArgument(f"{word.upper()} is not a valid change command")
            instruction(config, rest.strip())
    return config


def _command(text: str) -> list[str]:
    """JSON's form, or a line for the shell."""
    if text.startswith("["):
        try:
            words = json.loads(text)
        except ValueError:
            words = None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    return [*_DEFAULT_SHELL, text] if text else []


def _cmd(config: Config, text: str) -> None:
    config["Cmd"] = _command(text) or None


def _entrypoint(config: Config, text: str) -> None:
    config["Entrypoint"] = _command(text) or None


def _pairs(name: str, text: str) -> list[tuple[str, str]]:
    """`key=value …` with shell quoting, or the old `key value`."""
    if not text:
        raise InvalidArgument(f"{name} requires at least one argument")
    first, _, rest = text.partition(" ")
    if "=" not in first:
        if not rest:
            raise InvalidArgument(f"{name} must have two arguments")
        return [(first, rest.strip())]
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidArgument(f"{name}: {error}".lower()) from error
    for word in words:
        if "=" not in word:
            raise InvalidArgument(f"Syntax error - can't find = in {word!r}. Must be of the form: name=value")
    return [(key, value) for key, _, value in (word.partition("=") for word in words)]


def _env(config: Config, text: str) -> None:
    variables = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    variables.update(_pairs("ENV", text))
    config["Env"] = [f"{key}={value}" for key, value in variables.items()]


def _label(config: Config, text: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **dict(_pairs("LABEL", text))}


def _expose(config: Config, text: str) -> None:
    if not text:
        raise InvalidArgument("EXPOSE requires at least one argument")
    ports = dict(config.get("ExposedPorts") or {})
    for word in text.split():
        match = _PORTS.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if match is None or not 0 < first <= last < 1 << 16:
            raise InvalidArgument(f"Invalid containerPort: {word}")
        for port in range(first, last + 1):
            ports[f"{port}/{(match[3] or 'tcp').lower()}"] = {}
    config["ExposedPorts"] = ports


def _volume(config: Config, text: str) -> None:
    if not text:
        raise InvalidArgument("VOLUME requires at least one argument")
    words = _command(text) if text.startswith("[") else text.split()
    config["Volumes"] = {**(config.get("Volumes") or {}), **{word: {} for word in words}}


def _one(name: str, key: str) -> Callable[[Config, str], None]:
    def change(config: Config, text: str) -> None:
        if not text:
            raise InvalidArgument(f"{name} requires exactly one argument")
        config[key] = text

    return change


def _workdir(config: Config, text: str) -> None:
    if not text:
        raise InvalidArgument("WORKDIR requires exactly one argument")
    config["WorkingDir"] = text if text.startswith("/") else f"{config.get('WorkingDir') or ''}/{text}"


def _onbuild(config: Config, text: str) -> None:
    if not text:
        raise InvalidArgument("ONBUILD requires at least one argument")
    config["OnBuild"] = [*(config.get("OnBuild") or ()), text]


def _healthcheck(config: Config, text: str) -> None:
    check: dict[str, Any] = {}
    words = text.split(" ")
    while words and words[0].startswith("--"):
        key, _, value = words.pop(0)[2:].partition("=")
        name = {
            "interval": "Interval",
            "timeout": "Timeout",
            "start-period": "StartPeriod",
            "start-interval": "StartInterval",
            "retries": "Retries",
        }.get(key)
        if name is None:
            raise InvalidArgument(f"unknown flag: {key}")
        check[name] = int(value) if name == "Retries" and value.isdecimal() else _duration(value)
    kind, _, rest = " ".join(words).strip().partition(" ")
    if kind.upper() == "NONE":
        check = {"Test": ["NONE"]}
    elif kind.upper() == "CMD" and rest:
        form = _command(rest.strip())
        check["Test"] = ["CMD", *form] if rest.strip().startswith("[") else ["CMD-SHELL", rest.strip()]
    else:
        raise InvalidArgument(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    config["Healthcheck"] = check


def _duration(text: str) -> int:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidArgument(f'time: invalid duration "{text}"')
    return sum(int(float(number) * _NANO[unit]) for number, unit in parts)


_INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _one("STOPSIGNAL", "StopSignal"),
    "USER": _one("USER", "User"),
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
