"""What is wrong with a template."""

from __future__ import annotations


class TemplateError(Exception):
    """In Go's words. `parsing` tells a template that cannot be read from one that does not fit the data."""

    def __init__(self, text: str, *, parsing: bool = False) -> None:
        super().__init__(f"template: :1: {text}" if parsing else f"template: {text}")
        self.parsing = parsing
