"""The part of Go's templates that `--format` is used with: fields, pipelines, if, range, with, and docker's functions.

Values are what JSON decodes to. What Go has beyond this (define, block, template, break, continue, method calls) is
refused by name.
"""

from netloom.cli.template.errors import TemplateError
from netloom.cli.template.evaluate import Row, Template

__all__ = ["Row", "Template", "TemplateError"]
