"""`--label key=value`, `--label key`, and files of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from netloom.cli.errors import NOT_RUN, CliError


def labels(given: Iterable[str]) -> dict[str, str]:
    """A label without a value has an empty one; the last of one key counts."""
    pairs = (entry.partition("=") for entry in given)
    return {key: value for key, _, value in pairs}


def lines_of(paths: Sequence[str]) -> list[str]:
    """The lines of files of labels or variables, without comments and blank ones."""
    lines = []
    for path in paths:
        try:
            text = Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise CliError(f"open {path}: {getattr(error, 'strerror', None) or error}".lower(), NOT_RUN) from None
        lines += [line.lstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return lines
