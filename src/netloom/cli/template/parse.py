"""Text → tree."""

from __future__ import annotations

import json
import re
from typing import NamedTuple, NoReturn

from netloom.cli.template.errors import TemplateError
from netloom.cli.template.functions import FUNCTIONS
from netloom.cli.template.nodes import Call, Field, If, Literal, Node, Operand, Pipeline, Range, Text, Variable

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    | (?P<number>[+-]?\d+(?:\.\d+)?)
    | (?P<field>\.[A-Za-z_]\w*)
    | (?P<variable>\$\w*)
    | (?P<name>[A-Za-z_]\w*)
    | (?P<mark>:=|[|(),.=])
    )""",
    re.X,
)
_CONSTANTS = {"true": True, "false": False, "nil": None}
_WORDS = {"if", "else", "end", "range", "with"}
_UNSUPPORTED = {"define", "block", "template", "break", "continue"}


class Token(NamedTuple):
    """One word of an action. `spaced` tells whether white space stands before it: `.A .B` are two operands."""

    kind: str
    text: str
    at: int
    spaced: bool


class Action(NamedTuple):
    """What stands between braces."""

    tokens: tuple[Token, ...]


def parse(template: str) -> tuple[Node, ...]:
    """Raises TemplateError with `parsing` set."""
    pieces = _split(template)
    nodes, closing = _block(pieces)
    if closing is not None:
        _fail(f"unexpected {{{{{closing[0].text}}}}}")
    return nodes


def _fail(text: str) -> NoReturn:
    raise TemplateError(text, parsing=True)


def _split(template: str) -> list[Text | Action]:
    """Text and actions in order, trim marks carried out; the list is consumed from its front."""
    pieces: list[Text | Action] = []
    at, trim = 0, False
    while (start := template.find("{{", at)) >= 0:
        text = template[at:start]
        at = start + 2
        trim_before = template.startswith(("- ", "-\n", "-\t"), at)
        if trim:
            text = text.lstrip()
        if trim_before:
            text, at = text.rstrip(), at + 1
        if text:
            pieces.append(Text(text))
        end, tokens = _action(template, at)
        trim = template[end - 1] == "-" and template[end - 2].isspace()
        if tokens:
            pieces.append(Action(tokens))
        at = end + 2
    rest = template[at:].lstrip() if trim else template[at:]
    if rest:
        pieces.append(Text(rest))
    return pieces


def _action(template: str, at: int) -> tuple[int, tuple[Token, ...]]:
    """Where the closing braces are, and the tokens before them."""
    comment = re.compile(r"\s*/\*.*?\*/\s*-?(?=}})", re.S).match(template, at)
    if comment:
        return comment.end(), ()
    tokens: list[Token] = []
    while True:
        end = re.compile(r"(?:\s+-)?\s*}}|\s+-}}").match(template, at)
        if end:
            return end.end() - 2, tuple(tokens)
        found = _TOKEN.match(template, at)
        if not found or found.lastgroup is None:
            left = template[at:].lstrip()
            if not left:
                _fail("unclosed action")
            if left[0] == '"':
                _fail("unterminated quoted string")
            _fail(f"bad character U+{ord(left[0]):04X} '{left[0]}'")
        start = found.start(found.lastgroup)
        tokens.append(Token(found.lastgroup, found[found.lastgroup], start, start > at))
        at = found.end()


def _block(pieces: list[Text | Action]) -> tuple[tuple[Node, ...], tuple[Token, ...] | None]:
    """Nodes up to `end` or `else`, and the tokens of that; None at the end of the template."""
    nodes: list[Node] = []
    while pieces:
        piece = pieces.pop(0)
        if isinstance(piece, Text):
            nodes.append(piece)
            continue
        word = piece.tokens[0].text if piece.tokens[0].kind == "name" else ""
        if word in ("end", "else"):
            return tuple(nodes), piece.tokens
        if word in _UNSUPPORTED:
            _fail(f"{{{{{word}}}}} is not supported by netloom")
        if word in _WORDS:
            nodes.append(_control(word, piece.tokens[1:], pieces))
        else:
            nodes.append(_Words(piece.tokens).pipeline())
    return tuple(nodes), None


def _control(word: str, tokens: tuple[Token, ...], pieces: list[Text | Action]) -> Node:
    if not tokens:
        _fail(f"missing value for {word}")
    condition = _Words(tokens).pipeline()
    then, closing = _block(pieces)
    otherwise: tuple[Node, ...] = ()
    if closing is not None and closing[0].text == "else":
        if len(closing) > 1:
            otherwise = (_control(closing[1].text, closing[2:], pieces),)
            closing = closing[:1]
        else:
            otherwise, closing = _block(pieces)
            if closing is not None and closing[0].text == "else":
                _fail("expected end; found {{else}}")
    if closing is None:
        _fail("unexpected EOF")
    if word == "range":
        return Range(condition, then, otherwise)
    return If(condition, then, otherwise, moves_dot=word == "with")


class _Words:
    """The tokens of one action."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = list(tokens)

    def pipeline(self) -> Pipeline:
        """All of them."""
        pipeline = self._pipeline(self._assigned())
        if self.tokens:
            _fail(f"unexpected {self.tokens[0].text!r} in operand")
        return pipeline

    def _assigned(self) -> tuple[str, ...]:
        texts = [token.text for token in self.tokens]
        for count, marks in ((1, [":="]), (1, ["="]), (3, [":="])):
            if texts[count : count + 1] == marks and self.tokens[0].kind == "variable":
                names = [token.text for token in self.tokens[:count] if token.kind == "variable"]
                del self.tokens[: count + 1]
                return tuple(names)
        return ()

    def _pipeline(self, assigns: tuple[str, ...] = ()) -> Pipeline:
        commands = [self._command()]
        while self.tokens and self.tokens[0].text == "|":
            del self.tokens[0]
            commands.append(self._command())
        return Pipeline(tuple(commands), assigns)

    def _command(self) -> tuple[Operand, tuple[Operand, ...]] | Call:
        if not self.tokens or self.tokens[0].text in ("|", ")"):
            _fail("missing value for command")
        first = self.tokens[0]
        if first.kind == "name" and first.text not in _CONSTANTS:
            del self.tokens[0]
            if first.text not in FUNCTIONS:
                _fail(f'function "{first.text}" not defined')
            arguments = self._operands()
            return Call(first.text, arguments, first.text, first.at)
        return self._operand(), self._operands()

    def _operands(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while self.tokens and self.tokens[0].text not in ("|", ")"):
            operands.append(self._operand())
        return tuple(operands)

    def _operand(self) -> Operand:
        token = self.tokens.pop(0)
        base: Literal | Variable | Pipeline | None
        match token.kind, token.text:
            case "string", text:
                return Literal(text[1:-1] if text[0] == "`" else _unquote(text))
            case "number", text:
                return Literal(float(text) if "." in text else int(text))
            case "name", text if text in _CONSTANTS:
                return Literal(_CONSTANTS[text])
            case "name", text if text in FUNCTIONS:
                return Call(text, (), text, token.at)
            case "field", _:
                self.tokens.insert(0, token._replace(spaced=False))
                base = None
            case "mark", ".":
                return Field(None, (), ".", token.at)
            case "mark", "(":
                base = self._pipeline()
                if not self.tokens or self.tokens.pop(0).text != ")":
                    _fail("unclosed left paren")
            case "variable", text:
                base = Variable(text)
            case _:
                _fail(f'unexpected "{token.text}" in operand')
        return self._chain(base)

    def _chain(self, base: Literal | Variable | Pipeline | None) -> Operand:
        fields: list[Token] = []
        while self.tokens and self.tokens[0].kind == "field" and not self.tokens[0].spaced:
            fields.append(self.tokens.pop(0))
        if not fields and base is not None:
            return base
        # Go reports the place of the second name where there are several
        at = fields[min(1, len(fields) - 1)].at
        text = "".join(token.text for token in fields)
        return Field(base, tuple(token.text[1:] for token in fields), text, at)


def _unquote(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        _fail(f"bad string {text}")
