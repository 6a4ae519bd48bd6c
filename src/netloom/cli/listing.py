"""What the list commands print: `--format` as docker has it for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netloom.cli.errors import CliError
from netloom.cli.table import aligned
from netloom.cli.template import Row, Template, TemplateError


class Layout(NamedTuple):
    """One kind of list: the default template of its table, the heads of its fields, and what `--quiet` prints."""

    table: str
    heads: Mapping[str, str]
    quiet: str


def listed(rows: Sequence[Row], layout: Layout, form: str, *, quiet: bool = False) -> str:
    """The text of a list: `table`, `table TEMPLATE`, `json`, `raw` template, or the default table."""
    if quiet and (not form or form == "table"):
        return "".join(f"{row[layout.quiet]}\n" for row in rows)
    if not form or form == "table":
        form = "table " + layout.table
    if form == "json":
        form = "{{json .}}"
    as_table = form.startswith("table ")
    template = read_template(form.removeprefix("table ") if as_table else form)
    try:
        lines = [template.render(row) for row in rows]
        if not as_table:
            return "".join(line + "\n" for line in lines)
        return aligned([template.render(Row(dict(layout.heads), {"Label": _label_head})), *lines])
    except TemplateError as error:
        raise CliError(f"failed to execute template: {error}") from None


def template_of(form: str) -> Template | None:
    """What `--format` of one object asks for, as it stands; None for its own text and `json`."""
    if form in ("", "json"):
        return None
    try:
        return Template(form)
    except TemplateError as error:
        raise CliError(f"template parsing error: {error}") from None


def read_template(form: str) -> Template:
    """A template from the command line, where a tab may be written as backslash and t."""
    try:
        return Template(form.replace("\\t", "\t").replace("\\n", "\n"))
    except TemplateError as error:
        raise CliError(f"failed to parse template: {error}") from None


def _label_head(key: str) -> str:
    """`com.example.the-role` → `the role`."""
    return key.rpartition(".")[2].replace("-", " ").replace("_", " ")
