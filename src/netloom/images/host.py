"""The reserved image `host`: the root of the machine itself, read-only, under each container's scratch layer."""

from __future__ import annotations

import hashlib
import os

from netloom.images.image import Image
from netloom.model.image import ImageConfig

NAME = "host"
TAG = "latest"

# Always the same: containers name it, and they outlive an upgrade of the system that it shows.
ID = f"sha256:{hashlib.sha256(b'netloom host image').hexdigest()}"


def host_image(root: str = "/") -> Image:
    """The image of the host as it is now: its age is that of os-release."""
    release, created = _os_release(root)
    fields = dict(line.split("=", 1) for line in release.decode(errors="replace").splitlines() if "=" in line)
    shell = next((path for path in ("/bin/bash", "/bin/sh") if os.access(root + path, os.X_OK)), "/bin/sh")
    return Image(
        id=ID,
        tags=(f"{NAME}:{TAG}",),
        created=created,
        config=ImageConfig(cmd=(os.path.basename(shell),)),
        layers=(ID,),
        lower=(root,),
        comment=f"the host's own root, read-only: {fields.get('PRETTY_NAME', 'Linux').strip(chr(34))}",
        tagged=created,
    )


def _os_release(root: str) -> tuple[bytes, int]:
    """Text and time (ns) of the first os-release (os-release(5)) that there is."""
    for path in ("etc/os-release", "usr/lib/os-release"):
        try:
            with open(os.path.join(root, path), "rb") as file:
                return file.read(), os.fstat(file.fileno()).st_mtime_ns
        except FileNotFoundError:
            continue
    return b"", 0
