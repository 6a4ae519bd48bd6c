"""Takes in an archive of images: `python -m netloom.images.scan FILE`, the archive on standard input.

The archive, decompressed, becomes FILE; where each of its members lies there is told on standard output as `Members`.
No member becomes a file: an archive cannot write anything anywhere. A process of its own (see confine.py).
"""

from __future__ import annotations

import posixpath
import sys
import tarfile
from typing import BinaryIO

import msgspec
from msgspec import Struct

from netloom.images import confine
from netloom.images.decompress import Compressed, Plain

MOST = 100_000  # members; an archive of a thousand images has fewer
_CHUNK = 1 << 18


class Members(Struct, frozen=True):
    """Offset and size by name."""

    members: dict[str, tuple[int, int]]


def members(file: BinaryIO) -> Members:
    """Where the files of a tar lie. Links (old archives have them for layers that are alike) lead to what they name."""
    found: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for count, entry in enumerate(tar):
            if count >= MOST:
                raise ValueError(f"the archive has more than {MOST} members")
            name = posixpath.normpath(entry.name).lstrip("/")
            if entry.isreg() and not entry.issparse():
                found[name] = (entry.offset_data, entry.size)
            elif entry.issym():
                links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), entry.linkname)).lstrip("/")
            elif entry.islnk():
                links[name] = posixpath.normpath(entry.linkname).lstrip("/")
    for name, target in links.items():
        if target in found:
            found.setdefault(name, found[target])
    return Members(found)


def main(arguments: list[str]) -> int:
    """See above; the exit status."""
    confine.end_with_parent()
    try:
        with open(arguments[0], "xb+") as file:
            plain = Plain(Compressed(open(0, "rb", buffering=0, closefd=False)))  # noqa: SIM115
            while data := plain.read(_CHUNK):
                file.write(data)
            file.seek(0)
            sys.stdout.buffer.write(msgspec.json.encode(members(file)) + b"\n")
    except confine.FAILURES as error:
        message = "unexpected EOF" if isinstance(error, tarfile.TarError) else confine.sentence(error)
        sys.stdout.buffer.write(msgspec.json.encode({"error": message}) + b"\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
