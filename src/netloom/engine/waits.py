"""`docker wait`: who waits for which end of a container."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from netloom.model.container import Container
from netloom.model.errors import InvalidArgument

CONDITIONS = ("", "not-running", "next-exit", "removed")


_Waiting: TypeAlias = dict[str, list[asyncio.Future[tuple[int, str]]]]


class Waits:
    """Futures by container; `exited` and `removed` settle them."""

    def __init__(self) -> None:
        self._exit: _Waiting = {}
        self._removal: _Waiting = {}
        self._last: dict[str, tuple[int, str]] = {}

    def begin(self, container: Container, condition: str) -> asyncio.Future[tuple[int, str]]:
        """A future of (exit code, error); settled at once where the condition holds already."""
        if condition not in CONDITIONS:
            raise InvalidArgument(f"invalid condition: {condition!r}".replace("'", '"'))
        future: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        state = container.state
        if condition in ("", "not-running") and not (state.running or state.restarting):
            future.set_result((state.exit_code, state.error))
            return future
        table = self._removal if condition == "removed" else self._exit
        table.setdefault(container.id, []).append(future)
        future.add_done_callback(lambda done: _forget(table, container.id, done))
        return future

    def exited(self, container: str, code: int, error: str = "") -> None:
        """It has ended."""
        self._last[container] = (code, error)
        _settle(self._exit.pop(container, []), (code, error))

    def removed(self, container: Container) -> None:
        """It is gone; who waited for an exit hears the last one."""
        last = self._last.pop(container.id, (container.state.exit_code, container.state.error))
        _settle(self._exit.pop(container.id, []), last)
        _settle(self._removal.pop(container.id, []), last)


def _forget(table: _Waiting, container: str, future: asyncio.Future[tuple[int, str]]) -> None:
    """Who waited has gone."""
    waiting = table.get(container, [])
    if future in waiting:
        waiting.remove(future)
        if not waiting:
            del table[container]


def _settle(futures: list[asyncio.Future[tuple[int, str]]], result: tuple[int, str]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(result)
