"""Settings below /proc/sys of the namespace that the calling thread is in."""

from __future__ import annotations

import os


def write(path: str, value: str) -> None:
    """Write one. Raises OSError."""
    fd = os.open(f"/proc/sys/{path}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def read(path: str) -> str:
    """Its value. Raises OSError."""
    with open(f"/proc/sys/{path}", encoding="ascii") as file:
        return file.read().strip()


def restore(path: str) -> None:
    """Back to what a new interface has (`conf/default`). Other settings stay. Raises OSError."""
    parts = path.split("/")
    if len(parts) == 5 and parts[2] in ("conf", "neigh"):
        write(path, read("/".join((*parts[:3], "default", parts[4]))))
