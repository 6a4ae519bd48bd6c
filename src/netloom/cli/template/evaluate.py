"""Tree and data → text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from netloom.cli.template.errors import TemplateError
from netloom.cli.template.functions import FUNCTIONS, go_text, truth
from netloom.cli.template.nodes import Call, Field, If, Literal, Node, Operand, Pipeline, Range, Text, Variable
from netloom.cli.template.parse import parse


class Row(dict[str, Any]):
    """What a list command offers for one object: its fields, and methods as `.Label "key"`."""

    def __init__(self, fields: dict[str, Any], methods: dict[str, Callable[..., Any]] | None = None) -> None:
        super().__init__(fields)
        self.methods = methods or {}


class Template:
    """A template that was read; `render` may be called for any number of values."""

    def __init__(self, text: str) -> None:
        """Raises TemplateError for what cannot be read."""
        self._nodes = parse(text)

    def render(self, value: Any) -> str:
        """The text for one value. Raises TemplateError where the value does not fit."""
        out: list[str] = []
        _Run(value, out).nodes(self._nodes, value, {"$": value})
        return "".join(out)


class _Run:
    def __init__(self, root: Any, out: list[str]) -> None:
        self.root = root
        self.out = out

    def nodes(self, nodes: Iterable[Node], dot: Any, names: dict[str, Any]) -> None:
        for node in nodes:
            match node:
                case Text(text):
                    self.out.append(text)
                case Pipeline():
                    value = self.pipeline(node, dot, names)
                    if not node.assigns:
                        self.out.append(go_text(value))
                case If(condition, then, otherwise, moves_dot):
                    inner = dict(names)
                    value = self.pipeline(condition, dot, inner)
                    if truth(value):
                        self.nodes(then, value if moves_dot else dot, inner)
                    else:
                        self.nodes(otherwise, dot, inner)
                case Range():
                    self.range(node, dot, names)

    def range(self, node: Range, dot: Any, names: dict[str, Any]) -> None:
        over = self.pipeline(node.over._replace(assigns=()), dot, names)
        if isinstance(over, dict):
            items: list[tuple[Any, Any]] = sorted(over.items())
        elif isinstance(over, list | tuple):
            items = list(enumerate(over))
        elif isinstance(over, int) and not isinstance(over, bool):
            items = [(n, n) for n in range(over)]
        elif over is None:
            items = []
        else:
            raise TemplateError(f':1: executing "" at <range>: range can\'t iterate over {go_text(over)}')
        for key, value in items:
            inner = dict(names)
            assigned = (value,) if len(node.over.assigns) == 1 else (key, value)
            inner.update(zip(node.over.assigns, assigned, strict=False))
            self.nodes(node.body, value, inner)
        if not items:
            self.nodes(node.otherwise, dot, dict(names))

    def pipeline(self, pipeline: Pipeline, dot: Any, names: dict[str, Any]) -> Any:
        value: Any = None
        for at, command in enumerate(pipeline.commands):
            piped = (value,) if at else ()
            if isinstance(command, Call):
                value = self.call(command, dot, names, piped)
            else:
                operand, arguments = command
                given = (*(self.operand(argument, dot, names) for argument in arguments), *piped)
                value = self.operand(operand, dot, names, given)
        for name in pipeline.assigns:
            names[name] = value
        return value

    def call(self, call: Call, dot: Any, names: dict[str, Any], piped: tuple[Any, ...] = ()) -> Any:
        given = (*(self.operand(argument, dot, names) for argument in call.arguments), *piped)
        try:
            return FUNCTIONS[call.function](*given)
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            raise TemplateError(
                f':1:{call.at}: executing "" at <{call.text}>: error calling {call.function}: {error}'
            ) from error

    def operand(self, operand: Operand, dot: Any, names: dict[str, Any], given: tuple[Any, ...] = ()) -> Any:
        if given and not isinstance(operand, Field):
            raise TemplateError(':1: executing "": can\'t give argument to non-function')
        match operand:
            case Literal(value):
                return value
            case Variable(name):
                return self.variable(name, names)
            case Call():
                return self.call(operand, dot, names)
            case Pipeline():
                return self.pipeline(operand, dot, names)
        base = dot if operand.base is None else self.operand(operand.base, dot, names)
        return _look_up(operand, base, given)

    def variable(self, name: str, names: dict[str, Any]) -> Any:
        if name not in names:
            raise TemplateError(f'undefined variable "{name}"', parsing=True)
        return names[name]


def _look_up(field: Field, value: Any, given: tuple[Any, ...]) -> Any:
    for at, name in enumerate(field.names):
        last = at == len(field.names) - 1
        if isinstance(value, Row) and name in value.methods and last:
            return value.methods[name](*given)
        value = _member(field, value, name)
    if given:
        raise _misfit(field, "can't give argument to non-function")
    return value


def _member(field: Field, value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        kind = "nil data" if value is None else f"a value that is no object: {go_text(value)}"
        raise _misfit(field, f"can't evaluate field {name} in {kind}")
    if name in value:
        return value[name]
    if isinstance(value, Row):
        raise _misfit(field, f"can't evaluate field {name}")
    # Go's own names for a field and JSON's differ in case at times (ID, Id)
    for key in value:
        if key.lower() == name.lower() and name[0].isupper():
            return value[key]
    # fields of the API begin with a capital; other keys are the user's, who may have set them or not
    if name[0].isupper():
        raise _misfit(field, f'map has no entry for key "{name}"')
    return None


def _misfit(field: Field, text: str) -> TemplateError:
    return TemplateError(f':1:{field.at}: executing "" at <{field.text}>: {text}')
