"""`docker top`: the host's `ps`, cut down to one container's processes."""

from __future__ import annotations

import shlex

from netloom.engine.core import Core
from netloom.engine.execs import refuse_ended
from netloom.model.container import Container
from netloom.model.errors import Failed, InvalidArgument


async def top(core: Core, container: Container, ps_args: str) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of `ps ARGS` for the container's processes. Raises Conflict when it does not run."""
    refuse_ended(container)
    pids = set(await core.runtime.processes(container.id, container.state.pid))
    text = await core.runtime.ps(_arguments(ps_args))
    return parse(text, pids)


def _arguments(text: str) -> list[str]:
    try:
        return shlex.split(text or "-ef")
    except ValueError as error:
        raise InvalidArgument(f"invalid ps arguments {text!r}: {error}") from None


def parse(text: str, pids: set[int]) -> tuple[list[str], list[list[str]]]:
    """Rows whose PID column names one of `pids`; the last column keeps its spaces."""
    lines = text.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise Failed("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows = []
    for line in lines[1:]:
        fields = line.split(None, len(titles) - 1)
        if len(fields) > column and fields[column].isdigit() and int(fields[column]) in pids:
            rows.append(fields)
    return titles, rows
