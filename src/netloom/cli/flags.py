"""Command lines as docker reads them: `-it`, `-p80:80`, `--rm=false`, `--name x`, `--label a --label b`.

A small reader of our own: argparse has no switches with values, no docker wording, and costs the start more than all
else together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from netloom.cli.errors import GENERAL, NOT_RUN, CliError
from netloom.model.truth import truth_of

Kind: TypeAlias = Literal["bool", "string", "int", "list", "csv", "map", "bytes"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgtp]?)(?:i?b)?", re.I)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


class Flag(NamedTuple):
    """One flag. Lists collect, `csv` ones also split at commas; `map` collects KEY=VALUE; `bytes` takes 64m."""

    name: str
    short: str = ""
    kind: Kind = "string"
    help: str = ""
    default: Any = None
    hidden: bool = False
    alias: str = ""  # another name for the same flag, not listed
    check: Callable[[str], str] | None = None  # gives the value as it is meant, or raises ValueError

    @property
    def shown(self) -> str:
        """As an error names it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"

    @property
    def initial(self) -> Any:
        """The value when the flag is not given."""
        if self.default is not None:
            return self.default
        match self.kind:
            case "bool":
                return False
            case "list" | "csv":
                return []
            case "map":
                return {}
            case "int" | "bytes":
                return None
        return ""


class Arguments:
    """What was given: flags as attributes (dashes become underscores), the rest in `words`."""

    def __init__(self, values: dict[str, Any], words: list[str], given: frozenset[str]) -> None:
        self._values = values
        self.words = words
        self.given = given  # names of the flags that were on the command line

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name.replace("_", "-")]
        except KeyError:
            raise AttributeError(name) from None


class Usage(NamedTuple):
    """What a command takes: its name after `netloom`, its words, and how many of them (`most` -1: any number)."""

    name: str
    words: str
    least: int
    most: int
    summary: str
    flags: tuple[Flag, ...] = ()
    stop_at_word: bool = False  # flags after the first word belong to the container's program

    @property
    def line(self) -> str:
        """The line that help and errors show."""
        return f"Usage:  netloom {self.name} [OPTIONS] {self.words}".rstrip()

    def refuse(self, text: str, code: int = NOT_RUN) -> CliError:
        """The error for a command line that does not fit."""
        return CliError(f"{text}\n\n{self.line}\n\nRun 'netloom {self.name} --help' for more information", code)

    def help(self) -> str:
        """The text of `--help`."""
        lines = [self.line, "", self.summary]
        shown = [flag for flag in self.flags if not flag.hidden]
        if shown:
            heads = [_head(flag) for flag in shown]
            width = max(map(len, heads))
            lines += ["", "Options:"]
            lines += [f"  {head:{width}}   {flag.help}".rstrip() for head, flag in zip(heads, shown, strict=True)]
        return "\n".join(lines) + "\n"


class HelpAsked(Exception):
    """`--help` was on the command line."""


def read(usage: Usage, argv: Sequence[str]) -> Arguments:
    """Read a command line. Raises CliError in docker's words, HelpAsked for `--help`."""
    reader = _Reader(usage)
    reader.read(list(argv))
    count = len(reader.words)
    if count < usage.least or 0 <= usage.most < count:
        raise usage.refuse(f"netloom: 'netloom {usage.name}' {_wanted(usage)}", GENERAL)
    return Arguments(reader.values, reader.words, frozenset(reader.given))


class _Reader:
    def __init__(self, usage: Usage) -> None:
        self.usage = usage
        self.values: dict[str, Any] = {flag.name: flag.initial for flag in usage.flags}
        self.words: list[str] = []
        self.given: set[str] = set()
        self._long = {name: flag for flag in usage.flags for name in (flag.name, flag.alias) if name}
        self._short = {flag.short: flag for flag in usage.flags if flag.short}

    def read(self, argv: list[str]) -> None:
        while argv:
            word = argv.pop(0)
            if word == "--":
                self.words += argv
                return
            if word.startswith("--"):
                self._read_long(word, argv)
            elif word.startswith("-") and word != "-":
                self._read_short(word, argv)
            else:
                self.words.append(word)
                if self.usage.stop_at_word:
                    self.words += argv
                    return

    def _read_long(self, word: str, argv: list[str]) -> None:
        name, equals, value = word[2:].partition("=")
        flag = self._long.get(name)
        if flag is None:
            if name == "help":
                raise HelpAsked
            raise self.usage.refuse(f"unknown flag: --{name}")
        if equals:
            self._take(flag, value)
        elif flag.kind == "bool":
            self._take(flag, "true")
        elif argv:
            self._take(flag, argv.pop(0))
        else:
            raise self.usage.refuse(f"flag needs an argument: --{name}")

    def _read_short(self, word: str, argv: list[str]) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self._short.get(letter)
            if flag is None:
                if letter == "h" and word == "-h":
                    raise HelpAsked
                raise self.usage.refuse(f"unknown shorthand flag: {letter!r} in {word}")
            if flag.kind == "bool" and not letters.startswith("="):
                self._take(flag, "true")
                continue
            if letters:
                self._take(flag, letters.removeprefix("="))
            elif argv:
                self._take(flag, argv.pop(0))
            else:
                raise self.usage.refuse(f"flag needs an argument: {letter!r} in {word}")
            return

    def _take(self, flag: Flag, text: str) -> None:
        try:
            value = _value(flag, text)
        except ValueError as error:
            raise self.usage.refuse(f'invalid argument "{text}" for "{flag.shown}" flag: {error}') from None
        first = flag.name not in self.given
        self.given.add(flag.name)
        match flag.kind:
            case "list" | "csv":
                self.values[flag.name] = value if first else self.values[flag.name] + value
            case "map":
                self.values[flag.name] = value if first else self.values[flag.name] | value
            case _:
                self.values[flag.name] = value


def _value(flag: Flag, text: str) -> Any:
    if flag.check is not None:
        text = flag.check(text)
    match flag.kind:
        case "bool":
            truth = truth_of(text)
            if truth is None:
                raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
            return truth
        case "int":
            if not re.fullmatch(r"[+-]?\d+", text, re.A):
                raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
            return int(text)
        case "bytes":
            return _size(text)
        case "list":
            return [text]
        case "csv":
            return text.split(",")
        case "map":
            key, _, value = text.partition("=")
            return {key: value}
    return text


def _size(text: str) -> int:
    if text == "-1":
        return -1
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"invalid size: '{text}'")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _wanted(usage: Usage) -> str:
    def arguments(count: int) -> str:
        return f"{count} argument" + ("" if count == 1 else "s")

    if usage.most == 0:
        return "accepts no arguments"
    if usage.least == usage.most:
        return f"requires {arguments(usage.least)}"
    if usage.most < 0:
        return f"requires at least {arguments(usage.least)}"
    return f"requires at most {arguments(usage.most)}"


def _head(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    kind = "" if flag.kind == "bool" else " " + {"csv": "list"}.get(flag.kind, flag.kind)
    return f"{short}--{flag.name}{kind}"
