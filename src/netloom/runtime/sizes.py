"""How much a folder holds."""

from __future__ import annotations

import os


def size_of(folder: str) -> int:
    """Bytes in the files below it, each once however many names it has; 0 when there is none."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            try:
                found = os.lstat(os.path.join(path, name))
            except FileNotFoundError:
                continue
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_size
    return total
