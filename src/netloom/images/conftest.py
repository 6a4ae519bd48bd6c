"""Tars and layers for the tests of images."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

Member = tuple[str, dict[str, Any], bytes]


def member(name: str, data: bytes = b"", **fields: Any) -> Member:
    """One entry: fields of TarInfo; `pax` are extended headers."""
    return name, fields, data


def tar(*members: Member, end: bool = True) -> bytes:
    """A tar of them, exactly as they say."""
    out = io.BytesIO()
    for name, fields, data in members:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        info.mtime = 1_600_000_000
        info.pax_headers = dict(fields.pop("pax", {}))
        for key, value in fields.items():
            setattr(info, key, value)
        out.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        out.write(data + bytes(-len(data) % 512))
    return out.getvalue() + (bytes(1024) if end else b"")


def digest(data: bytes) -> str:
    """As images write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Unpacking:
    """One run of the process that unpacks, in a folder of its own."""

    def __init__(self, folder: Path, data: bytes) -> None:
        self.folder = folder
        for name in ("diff", "spare"):
            (folder / name).mkdir(parents=True)
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-m", "netloom.images.unpack", str(folder)],
            input=data,
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert not done.stderr, done.stderr.decode()
        self.told = msgspec.json.decode(done.stdout.splitlines()[-1])
        assert done.returncode == (1 if "error" in self.told else 0)

    @property
    def error(self) -> str:
        """Why it was refused, empty when it was not."""
        return str(self.told.get("error", ""))

    @property
    def diff(self) -> Path:
        """The layer."""
        return self.folder / "diff"

    def names(self) -> list[str]:
        """Everything in the layer."""
        found = []
        for parent, folders, files in os.walk(self.diff):
            found += [os.path.relpath(os.path.join(parent, name), self.diff) for name in (*folders, *files)]
        return sorted(found)


@pytest.fixture
def unpack(tmp_path: Path) -> Callable[..., Unpacking]:
    """Unpack bytes, or members of a tar."""
    count = 0

    def run(*what: bytes | Member) -> Unpacking:
        nonlocal count
        count += 1
        members = [one for one in what if not isinstance(one, bytes)]
        data = tar(*members) if members else b"".join(one for one in what if isinstance(one, bytes))
        return Unpacking(tmp_path / f"layer{count}", data)

    return run
