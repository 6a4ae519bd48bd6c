"""Writes an archive of images: `python -m netloom.images.pack`, the plan (`Plan`) as JSON on standard input.

The tar goes to standard output. Layers are put together from their recordings and checked against their digests; one
that is no longer what it was ends the archive early, with exit status 1.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
from typing import IO

import msgspec
from msgspec import Struct

from netloom.images import confine
from netloom.images.recording import replay


class Entry(Struct, frozen=True):
    """One member: bytes (base64 in JSON), or a layer by its folder. A name that ends in `/` is a folder."""

    name: str
    mtime: int = 0  # seconds since the epoch
    data: bytes = b""
    layer: str = ""
    diff_id: str = ""
    size: int = 0  # of the layer's tar


class Plan(Struct, frozen=True):
    """In the order in which they are written."""

    entries: tuple[Entry, ...]


class Changed(Exception):
    """A layer is no longer what it was."""


def write(plan: Plan, out: IO[bytes]) -> None:
    """The whole archive. Raises Changed, OSError, EOFError."""
    for entry in plan.entries:
        size = entry.size if entry.layer else len(entry.data)
        out.write(_header(entry, size))
        if entry.layer:
            _write_layer(entry, out)
        else:
            out.write(entry.data)
        out.write(bytes(-size % tarfile.BLOCKSIZE))
    out.write(bytes(2 * tarfile.BLOCKSIZE))
    out.flush()


def write_layer(folder: str, out: IO[bytes]) -> str:
    """A layer's tar; the digest of what was written."""
    digest = hashlib.sha256()
    root = os.open(f"{folder}/diff", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with open(f"{folder}/recording", "rb") as recording:
            for data in replay(recording, root, f"{folder}/spare"):
                digest.update(data)
                out.write(data)
    finally:
        os.close(root)
    return f"sha256:{digest.hexdigest()}"


def _write_layer(entry: Entry, out: IO[bytes]) -> None:
    if write_layer(entry.layer, out) != entry.diff_id:
        raise Changed(f"layer {entry.diff_id} is no longer what it was")


def _header(entry: Entry, size: int) -> bytes:
    info = tarfile.TarInfo(entry.name)
    info.mtime = entry.mtime
    info.mode = 0o644
    info.size = size
    if entry.name.endswith("/"):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info.tobuf(tarfile.GNU_FORMAT)


def main() -> int:
    """See above; the exit status."""
    confine.end_with_parent()
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    try:
        write(plan, sys.stdout.buffer)
    except BrokenPipeError:
        return 1
    except (Changed, OSError, EOFError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
