"""`-v` and `--volumes-from` as users write them: source, destination and a mode of comma-separated words."""

from __future__ import annotations

import posixpath

from msgspec import Struct

from netloom.model.errors import InvalidArgument
from netloom.model.mount import BindOptions, MountRequest, VolumeOptions

# Words of a mode. Of each kind there may be one.
_ACCESS = ("rw", "ro")
_LABELS = ("z", "Z")  # SELinux: where there is none, nothing is relabelled
_CONSISTENCY = ("consistent", "cached", "delegated")  # of Docker's desktop: every mount is consistent here
PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_KINDS = (_ACCESS, _LABELS, _CONSISTENCY, PROPAGATIONS, ("nocopy",))


class BindSpec(Struct, frozen=True):
    """One entry of HostConfig.Binds: what it asks for, and its mode as it was written."""

    request: MountRequest
    mode: str


def valid_mode(mode: str) -> bool:
    """Only known words, one of each kind at most."""
    words = mode.split(",") if mode else []
    kinds = [kind for word in words for kind in _KINDS if word in kind]
    return len(kinds) == len(words) == len(set(kinds))


def read_only(mode: str) -> bool:
    """Does the mode take writing away?"""
    return "ro" in mode.split(",")


def parse_bind(text: str) -> BindSpec:
    """An absolute source is a path of the host, any other the name of a volume; without one the volume is anonymous.

    Raises InvalidArgument with Docker's sentence.
    """
    parts = text.split(":")
    source, mode = "", ""
    match parts:
        case [target]:
            pass
        case [source, target] if not valid_mode(target):
            pass
        case [source, target, mode]:
            if not valid_mode(mode):
                raise InvalidArgument(f"invalid mode: {mode}")
        case _:
            raise InvalidArgument(f"invalid volume specification: '{text}'")
    if not target or (len(parts) > 1 and not source):
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    words = mode.split(",")
    propagation = next((word for word in words if word in PROPAGATIONS), "")
    request = MountRequest(
        type="bind" if source.startswith("/") else "volume",
        source=posixpath.normpath(source) if source.startswith("/") else source,
        target=target,
        read_only=read_only(mode),
        bind_options=BindOptions(propagation=propagation) if propagation else None,
        volume_options=VolumeOptions(no_copy=True) if "nocopy" in words else None,
    )
    return BindSpec(request, mode)


def parse_volumes_from(text: str) -> tuple[str, str]:
    """The other container's name, and the mode in which its mounts are taken over."""
    if not text:
        raise InvalidArgument("volumes-from specification cannot be an empty string")
    name, _, mode = text.partition(":")
    if not valid_mode(mode):
        raise InvalidArgument(f"invalid mode: {mode}")
    return name, mode
