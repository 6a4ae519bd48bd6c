"""Settings that steps ask for, written in the namespace that the calling thread is in. All raise KernelError."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from netloom.kernel import sysctl, translate
from netloom.kernel.namespace import index_of
from netloom.model.desired import Bridge, Shim, Step, Sysctl
from netloom.model.errors import KernelError
from netloom.plan.steps import subject


@contextmanager
def ipv6(step: Step, on: bool) -> Iterator[None]:
    """Around switching IPv6 on or off: a kernel without it has nothing to turn off."""
    try:
        yield
    except FileNotFoundError:
        if on:
            raise KernelError(errno.EAFNOSUPPORT, subject(step), detail="the kernel has no IPv6") from None
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, subject(step), detail="disable_ipv6") from error


def turn_ipv6(step: Step, what: Bridge | Shim) -> None:
    """IPv6 on or off for a link of the host."""
    with ipv6(step, what.ipv6):
        sysctl.write(translate.ipv6_switch(what.name), "0" if what.ipv6 else "1")


def of_nobody(what: Sysctl) -> bool:
    """Is it a switch of an interface that has gone? A new one of that name has its own."""
    parts = what.path.split("/")
    named = len(parts) == 5 and parts[2] == "conf" and parts[3] not in ("all", "default")
    return named and not index_of(parts[3])


def write(step: Step, path: str, value: str) -> None:
    """Write one."""
    try:
        sysctl.write(path, value)
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, subject(step), detail=f"{path} = {value}") from error


def restore(step: Step, what: Sysctl) -> None:
    """Back to what a new interface has."""
    try:
        sysctl.restore(what.path)
    except FileNotFoundError:
        return  # its interface is gone
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, subject(step), detail=what.path) from error
