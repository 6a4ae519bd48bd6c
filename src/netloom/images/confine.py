"""What the short processes that read foreign bytes do first, so that those bytes can do little; how they fail."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import tarfile
import zlib
from lzma import LZMAError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MEMORY = 1 << 30  # bytes of address space: headers that claim gigabytes are refused by the kernel
FAILURES = (OSError, EOFError, ValueError, OverflowError, MemoryError, tarfile.TarError, zlib.error, LZMAError)
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


def sentence(error: BaseException) -> str:
    """One of FAILURES in words, as Docker has them where it has any."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
    if isinstance(error, MemoryError):
        return "headers are too large"
    if isinstance(error, tarfile.ReadError) and "truncated" in str(error):
        return "unexpected EOF"
    return str(error) or type(error).__name__
