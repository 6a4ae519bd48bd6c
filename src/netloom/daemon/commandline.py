"""`netloom daemon`'s command line: flags before the TOML file before Docker's daemon.json before the defaults.

A daemon.json that says otherwise than a flag is refused, as dockerd refuses it: whoever wrote the two should decide.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from typing import Any, NoReturn

from netloom.daemon import daemon_json
from netloom.daemon.config import Config, check
from netloom.daemon.options import BY_KEY, OPTIONS, Option
from netloom.daemon.toml import literal, show
from netloom.model.errors import InvalidArgument, NetloomError


def command(arguments: Sequence[str]) -> Config:
    """The configuration that a command line asks for.

    Ends the program with status 1 and a sentence when it makes no sense, and with 0 after --help and --validate.
    """
    try:
        typed = _parser().parse_args(arguments)
        config = load(typed)
    except NetloomError as error:
        print(f"netloom daemon: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    if typed.validate:
        print(show(config), end="")
        raise SystemExit(0)
    return config


def load(typed: argparse.Namespace) -> Config:
    """Read the files that the flags name and join all sources."""
    flags = {
        option.key: _read(option, raw, option.switch)
        for option in OPTIONS
        if (raw := getattr(typed, option.field)) is not None
    }
    own = _toml(typed.config) if typed.config else {}
    docker_file = typed.daemon_json or own.pop("daemon-json", "")
    own.pop("daemon-json", None)
    imported: dict[str, Any] = {}
    passed: list[str] = []
    if docker_file:
        raw_values, passed = daemon_json.sift(_contents(docker_file), docker_file)
        imported = {key: _read(BY_KEY[key], raw, f"{docker_file}: {key}") for key, raw in raw_values.items()}
        _no_quarrel(flags, imported, docker_file)
    merged = imported | {key: _read(BY_KEY[key], raw, f"{typed.config}: {key}") for key, raw in own.items()} | flags
    config = Config(
        **{BY_KEY[key].field: value for key, value in merged.items()},
        passed_over=tuple(f"{docker_file}: {key}" for key in passed),
    )
    check(config)
    return config


class _Parser(argparse.ArgumentParser):
    """A wrong option is one more InvalidArgument: every refusal looks the same and exits with 1."""

    def error(self, message: str) -> NoReturn:
        raise InvalidArgument(message, remedy="see 'netloom daemon --help'")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="netloom daemon",
        description="Serve container networks on this host: the network and mount namespace it is started in.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", metavar="PATH", help="a TOML file of these options, by the names that --validate prints"
    )
    parser.add_argument("--daemon-json", metavar="PATH", help="take over the networking part of Docker's daemon.json")
    parser.add_argument("--validate", action="store_true", help="print the resolved configuration and exit")
    defaults = Config()
    for option in OPTIONS:
        more: dict[str, Any] = {"action": "append"} if option.many else {}
        if option.boolean:
            more = {"nargs": "?", "const": "true"}
        default = getattr(defaults, option.field)
        suffix = "" if default in ("", (), None, 0) and default is not False else f" ({str(default).lower()})"
        parser.add_argument(
            option.switch,
            dest=option.field,
            metavar=option.metavar or "BOOL",
            help=f"{option.help}{suffix}{'; may be repeated' if option.many else ''}",
            **more,
        )
    return parser


def _read(option: Option, raw: object, place: str) -> Any:
    """A value through its option's reader; what is repeated becomes one tuple."""
    try:
        if option.many and isinstance(raw, list):
            return tuple(item for one in raw for item in option.read(one))
        return option.read(raw)
    except ValueError as error:
        shown = raw[0] if isinstance(raw, list) and len(raw) == 1 else raw
        raise InvalidArgument(f"{place}: {json.dumps(shown, default=str)} {error}") from None


def _contents(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"the configuration file {file} cannot be read: {error}") from None


def _toml(file: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(_contents(file))
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(f"{file} is not TOML: {error}", remedy="mend the file") from None
    known = set(BY_KEY) | {"daemon-json"}
    if unknown := sorted(set(document) - known):
        raise InvalidArgument(
            f"{file}: the following directives don't match any configuration option: {', '.join(unknown)}",
            remedy=f"the options are {', '.join(sorted(known))}",
        )
    return document


def _no_quarrel(flags: dict[str, Any], imported: dict[str, Any], file: str) -> None:
    quarrels = [
        f"{key}: (from flag: {literal(flags[key])}, from file: {literal(imported[key])})"
        for key in flags
        if key in imported and imported[key] != flags[key]
    ]
    if quarrels:
        raise InvalidArgument(
            f"unable to configure the daemon with file {file}: the following directives are specified both as a flag "
            f"and in the configuration file: {', '.join(quarrels)}",
            remedy="keep one of the two",
        )
