"""How much a folder holds, counted as Docker counts scratch layers and volumes."""

from __future__ import annotations

import os
import stat


def size_of(folder: str) -> int:
    """Bytes of the files and links below a folder, hard links once, folders not at all. What goes away meanwhile, or
    was never there, counts nothing."""
    size = 0
    seen: set[tuple[int, int]] = set()
    folders = [folder]
    while folders:
        try:
            entries = os.scandir(folders.pop())
        except (FileNotFoundError, NotADirectoryError):
            continue
        with entries:
            for entry in entries:
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISDIR(facts.st_mode):
                    folders.append(entry.path)
                elif facts.st_nlink == 1 or (facts.st_dev, facts.st_ino) not in seen:
                    size += facts.st_size
                    if facts.st_nlink > 1:
                        seen.add((facts.st_dev, facts.st_ino))
    return size
