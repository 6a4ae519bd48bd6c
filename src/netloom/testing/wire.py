"""Failures on demand at any seam of the engine: every call of every fake passes one wire, which counts, and may trip.

A scenario is run once for each call that it makes: with the n-th call failing for n = 1, 2, … every way in which one
thing can go wrong has been gone.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import threading
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from netloom.kernel.namespace import Openable
from netloom.model.desired import Desired, HostFacts, Step
from netloom.model.errors import Exhausted, Failed, KernelError, Unavailable
from netloom.plan.steps import line, subject
from netloom.store.memory import MemoryStore
from netloom.testing.fake_kernel import FakeKernel

Reach: TypeAlias = Literal["nothing", "call", "seam", "all"]

_ERRORS: dict[str, Callable[[str], Exception]] = {
    "kernel": lambda what: KernelError(errno.EIO, what),
    "links": lambda what: KernelError(errno.EIO, what),
    "rows": lambda what: Exhausted(f"{what}: database or disk is full"),
    "files": lambda what: Exhausted(f"cannot {what}: no space left on device"),
    "dataplane": lambda what: Unavailable(f"{what}: the data plane does not answer"),
    "runtime": lambda what: Failed(f"{what}: crun failed"),
    "volumes": lambda what: Exhausted(f"cannot {what}: no space left on device"),
    "namespaces": lambda what: ProcessLookupError(f"{what}: the process has ended"),
}


class Wire:
    """What passes it is named `SEAM CALL`. Nothing trips until `arm`."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.tripped: list[str] = []
        self._left = 0
        self._broken: Container[str] = ()  # seams, until `heal`
        self._breaks: Reach = "call"
        self._told: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def arm(self, nth: int, breaks: Reach = "call", *, told: Callable[[], None] | None = None) -> None:
        """The nth call from now on fails, and with it every later one of its seam, or of all seams, or nothing.

        `told` is called at the first failure, from whatever thread that is in.
        """
        self._left, self._breaks, self._told = nth, breaks, told
        self.passed.clear()
        self.tripped.clear()

    def heal(self) -> None:
        """Everything works again."""
        self._left, self._broken = 0, ()

    def passing(self, seam: str, call: str) -> None:
        """Raises what the seam would raise when it is this call's turn to fail."""
        with self._lock:
            self.passed.append(f"{seam} {call}")
            if not self._turn(seam):
                return
            self.tripped.append(f"{seam} {call}")
            if self._told is not None:
                self._told()
                self._told = None
            if self._breaks == "nothing":
                return
        raise _ERRORS[seam](call)

    def _turn(self, seam: str) -> bool:
        if seam in self._broken:
            return True
        if self._left != 1:
            self._left = max(0, self._left - 1)
            return False
        self._left = 0
        self._broken = {"nothing": (), "call": (), "seam": (seam,), "all": tuple(_ERRORS)}[self._breaks]
        return True


class Wired:
    """Passes every call of another object over the wire; plain attributes are handed through."""

    def __init__(self, wire: Wire, seam: str, inner: Any, *, free: Sequence[str] = ()) -> None:
        """Calls named in `free` cannot fail, and are not counted."""
        self._wire = wire
        self._seam = seam
        self._inner = inner
        self._free = free

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found) or name in self._free:
            return found
        if inspect.iscoroutinefunction(found):

            async def later(*arguments: Any, **named: Any) -> Any:
                await asyncio.sleep(0)  # a real one never answers at once
                self._wire.passing(self._seam, name)
                return await found(*arguments, **named)

            return later

        def now(*arguments: Any, **named: Any) -> Any:
            self._wire.passing(self._seam, name)
            return found(*arguments, **named)

        return now


class WiredKernel(FakeKernel):
    """The fake kernel: every step passes the wire, so that the steps before a failing one stand.

    Used from the worker's thread and, for links and the ends of sandboxes, from the loop's.
    """

    def __init__(self, wire: Wire, facts: HostFacts | None = None) -> None:
        super().__init__(facts)
        self._wire = wire
        self._mutex = threading.RLock()

    @property
    def objects(self) -> list[Desired]:
        """What stands."""
        return list(self._objects.values())

    def apply(self, steps: Sequence[Step], sandboxes: Mapping[str, Openable]) -> None:
        with self._mutex:
            super().apply(steps, sandboxes)

    def observe(self) -> list[Desired]:
        self._wire.passing("kernel", "observe")
        with self._mutex:
            return super().observe()

    def observe_sandbox(self, namespace: Openable, sandbox: str) -> list[Desired]:
        self._wire.passing("kernel", "observe_sandbox")
        with self._mutex:
            return super().observe_sandbox(namespace, sandbox)

    def facts(self) -> HostFacts:
        self._wire.passing("kernel", "facts")
        with self._mutex:
            return super().facts()

    def end_connections(self, denied: Callable[[int, str, str, int, tuple[str, int]], bool]) -> int:
        self._wire.passing("kernel", "end_connections")
        return super().end_connections(denied)

    def forget_names(self) -> None:
        self._wire.passing("kernel", "forget_names")
        super().forget_names()

    def new_namespace(self) -> int:
        self._wire.passing("kernel", "new_namespace")
        return super().new_namespace()

    async def delete(self, index: int) -> None:
        await asyncio.sleep(0)
        self._wire.passing("links", f"delete {index}")
        with self._mutex:
            await super().delete(index)

    async def delete_inside(self, index: int, within: Openable, sandbox: str) -> None:
        await asyncio.sleep(0)
        self._wire.passing("links", f"delete {index} in {sandbox[:6]}")
        with self._mutex:
            await super().delete_inside(index, within, sandbox)

    def end_sandbox(self, sandbox: str) -> None:
        with self._mutex:
            super().end_sandbox(sandbox)

    def _maybe_fail(self, step: Step) -> None:
        self._wire.passing("kernel", f"{subject(step)} ({line(step)})")
        super()._maybe_fail(step)


class WiredStore(MemoryStore):
    """The store in memory, with commits that may fail as on a full disk."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]], *, durable: bool) -> None:
        self._wire.passing("rows", "commit " + " ".join(f"{table}/{key[:6]}" for table, key, _ in changes))
        super().commit(changes, durable=durable)
