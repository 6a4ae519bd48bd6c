"""Finds what is wrong with a JSON text and says it as Go's encoding/json does. Only run once decoding has failed."""

from __future__ import annotations

from netloom.api.gotext import quote

_SPACE = " \t\r\n"
_DIGITS = "0123456789"
_HEX = "0123456789abcdefABCDEF"
_MAX_DEPTH = 10_000  # encoding/json scanner.go maxNestingDepth


class Flaw(Exception):
    """What is wrong; the text is Go's."""


def quote_char(char: str) -> str:
    """encoding/json quoteChar."""
    if char == "'":
        return r"'\''"
    if char == '"':
        return "'\"'"
    return "'" + quote(char)[1:-1] + "'"


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self, context: str) -> str:
        """The next character that is not space; the context is used by `fail`."""
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1
        return self.char(context)

    def char(self, context: str) -> str:
        del context
        if self.at >= len(self.text):
            raise Flaw("unexpected EOF")
        return self.text[self.at]

    def fail(self, context: str) -> Flaw:
        return Flaw(f"invalid character {quote_char(self.char(context))} {context}")

    def string(self) -> None:
        self.at += 1
        while True:
            char = self.char("in string")
            if char == '"':
                self.at += 1
                return
            if char < " ":
                raise self.fail("in string")
            if char == "\\":
                self.escape()
            else:
                self.at += 1

    def escape(self) -> None:
        self.at += 1
        char = self.char("in string escape code")
        if char == "u":
            digits = self.text[self.at + 1 : self.at + 5]
            bad = next((i for i, digit in enumerate(digits) if digit not in _HEX), None)
            if bad is not None:
                self.at += 1 + bad
                raise self.fail("in \\u hexadecimal character escape")
            if len(digits) < 4:
                raise Flaw("unexpected EOF")
            self.at += 5
        elif char in '"\\/bfnrt':
            self.at += 1
        else:
            raise Flaw(f"invalid escape sequence `\\{char}` in string")

    def literal(self, word: str) -> None:
        for want in word:
            if self.char("") != want:
                raise self.fail(f"in literal {word} (expecting {quote_char(want)})")
            self.at += 1

    def digits(self, context: str) -> None:
        if self.char(context) not in _DIGITS:
            raise self.fail(context)
        while self.at < len(self.text) and self.text[self.at] in _DIGITS:
            self.at += 1

    def number(self) -> None:
        if self.text[self.at] == "-":
            self.at += 1
        if self.char("in numeric literal") == "0":
            self.at += 1
        else:
            self.digits("in numeric literal")
        if self.text.startswith(".", self.at):
            self.at += 1
            self.digits("after decimal point in numeric literal")
        if self.at < len(self.text) and self.text[self.at] in "eE":
            self.at += 1
            if self.char("in exponent of numeric literal") in "+-":
                self.at += 1
            self.digits("in exponent of numeric literal")

    def scalar(self) -> None:
        char = self.peek("looking for beginning of value")
        if char == '"':
            self.string()
        elif char == "-" or char in _DIGITS:
            self.number()
        elif char in "tfn":
            self.literal({"t": "true", "f": "false", "n": "null"}[char])
        else:
            raise self.fail("looking for beginning of value")

    def key(self) -> None:
        if self.peek("looking for beginning of object key string") != '"':
            raise self.fail("looking for beginning of object key string")
        self.string()
        if self.peek("after object key") != ":":
            raise self.fail("after object key")
        self.at += 1

    def value(self) -> None:
        """One value, nested ones without recursion."""
        open_: list[str] = []
        while True:
            char = self.peek("looking for beginning of value")
            if char in "{[":
                if len(open_) >= _MAX_DEPTH:
                    raise Flaw("exceeded max depth")
                self.at += 1
                close = "}" if char == "{" else "]"
                if self.peek("looking for beginning of value") != close:
                    open_.append(close)
                    if close == "}":
                        self.key()
                    continue
                self.at += 1
            else:
                self.scalar()
            if not self.after_value(open_):
                return

    def after_value(self, open_: list[str]) -> bool:
        """Close what closes here; is another value to come?"""
        while open_:
            place = "after object key:value pair" if open_[-1] == "}" else "after array element"
            char = self.peek(place)
            self.at += 1
            if char == ",":
                if open_[-1] == "}":
                    self.key()
                return True
            if char != open_[-1]:
                self.at -= 1
                raise self.fail(place)
            open_.pop()
        return False


def first_value_end(text: str) -> int:
    """Where the first JSON value ends. Raises Flaw with Go's sentence when there is none."""
    scanner = _Scanner(text)
    scanner.value()
    return scanner.at
