"""What the short processes that read foreign bytes do first, so that those bytes can do little."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MEMORY = 1 << 30  # bytes of address space: headers that claim gigabytes are refused by the kernel
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """SIGKILL when the daemon has gone, and bounded memory."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def into(folder: str) -> None:
    """From now on `folder` is all that there is. What Python may yet want to import is imported by now."""
    os.chroot(folder)
    os.chdir("/")
    os.umask(0)
