"""A template as a tree."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias


class Literal(NamedTuple):
    """A constant."""

    value: Any


class Field(NamedTuple):
    """`.A.B`, `$x.A` or `(…).A`: names looked up one after the other, from `base`."""

    base: Literal | Variable | Pipeline | None  # None is the dot
    names: tuple[str, ...]
    text: str
    at: int


class Variable(NamedTuple):
    """`$x`; `$` alone is what the template was given."""

    name: str


class Call(NamedTuple):
    """A function, or a field with arguments."""

    function: str
    arguments: tuple[Operand, ...]
    text: str
    at: int


class Pipeline(NamedTuple):
    """Commands, each result the last argument of the next; the result may go into variables."""

    commands: tuple[tuple[Operand, tuple[Operand, ...]] | Call, ...]
    assigns: tuple[str, ...] = ()


class Text(NamedTuple):
    """What stands between the actions."""

    text: str


class If(NamedTuple):
    """`if`, or `with`, which also moves the dot."""

    condition: Pipeline
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]
    moves_dot: bool


class Range(NamedTuple):
    """`range`."""

    over: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


Operand: TypeAlias = Literal | Field | Variable | Call | Pipeline
Node: TypeAlias = Text | Pipeline | If | Range
