"""The options of the driver `local`: type, device and o, as of mount(8), checked and taken apart."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from netloom.model.errors import InvalidArgument, NotFound
from netloom.model.volume import LOCAL

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_KNOWN = ("type", "o", "device")
_REQUIRED = ("device", "type")

# Words of `o` that are flags of mount(2) and no data of the file system: (set, cleared) bits of linux/mount.h.
_FLAGS = {
    "defaults": (0, 0),
    "ro": (1, 0),
    "rw": (0, 1),
    "nosuid": (2, 0),
    "suid": (0, 2),
    "nodev": (4, 0),
    "dev": (0, 4),
    "noexec": (8, 0),
    "exec": (0, 8),
    "sync": (16, 0),
    "async": (0, 16),
    "dirsync": (128, 0),
    "remount": (32, 0),
    "mand": (64, 0),
    "nomand": (0, 64),
    "noatime": (1 << 10, 0),
    "atime": (0, 1 << 10),
    "nodiratime": (1 << 11, 0),
    "diratime": (0, 1 << 11),
    "bind": (1 << 12, 0),
    "rbind": (1 << 12 | 1 << 14, 0),
    "relatime": (1 << 21, 0),
    "norelatime": (0, 1 << 21),
    "strictatime": (1 << 24, 0),
    "nostrictatime": (0, 1 << 24),
}


class LocalMount(Struct, frozen=True):
    """Arguments of mount(2)."""

    device: str
    kind: str
    flags: int
    data: str


def check_name(name: str) -> None:
    """Raise InvalidArgument with Docker's sentence for a name that no folder may have."""
    if len(name) == 1:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if len(name) > 255 - len(".going-"):
        raise InvalidArgument(f"create {name}: the volume's name is too long for a folder")


def check_driver(name: str, driver: str) -> None:
    """Raise NotFound for a driver that nobody has: there are no plug-ins."""
    if driver not in ("", LOCAL):
        raise NotFound(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')


def check_options(name: str, options: Mapping[str, str] | None) -> None:
    """Raise InvalidArgument for an unknown option, or one that lacks its companion."""
    for key in options or {}:
        if key not in _KNOWN:
            raise InvalidArgument(f'create {name}: invalid option: "{key}"')
    if any((options or {}).values()):
        for key in _REQUIRED:
            if not (options or {}).get(key):
                raise InvalidArgument(f'create {name}: missing required option: "{key}"')


def local_mount(options: Mapping[str, str] | None) -> LocalMount | None:
    """What is to be mounted; None for a plain folder."""
    if not any((options or {}).values()):
        return None
    given = options or {}
    flags, data = 0, []
    for word in filter(None, given.get("o", "").split(",")):
        if word in _FLAGS:
            set_bits, cleared = _FLAGS[word]
            flags = (flags | set_bits) & ~cleared
        else:
            data.append(word)
    return LocalMount(given["device"], given["type"], flags, ",".join(data))
