"""A container's mounts as entries of its OCI runtime spec, in the order in which they must be made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netloom.model.container import Container
from netloom.model.mount import MountPoint

_TMPFS = ("noexec", "nosuid", "nodev")
_OPPOSITES = {"exec": "noexec", "suid": "nosuid", "dev": "nodev", "rw": "ro"}
_OPPOSITES |= {value: key for key, value in _OPPOSITES.items()}

Mount = dict[str, Any]


def with_user_mounts(container: Container, system: Sequence[Mount], files: Sequence[Mount]) -> list[Mount]:
    """All mounts: the system's own that the user did not replace, then the others, what lies deeper later.

    Who mounts something on /dev gets nothing of ours below it.
    """
    own = user_mounts(container)
    taken = {mount["destination"] for mount in own}
    kept = [
        mount
        for mount in system
        if mount["destination"] not in taken and not ("/dev" in taken and mount["destination"].startswith("/dev/"))
    ]
    rest = [*own, *(mount for mount in files if mount["destination"] not in taken)]
    return [*kept, *sorted(rest, key=lambda mount: mount["destination"].count("/"))]


def user_mounts(container: Container) -> list[Mount]:
    """Those that its user, or its image, asked for."""
    found = {point.destination: _mount(point) for point in container.mounts}
    for destination, words in (container.host_config.tmpfs or {}).items():
        found.setdefault(destination, _tmpfs(destination, filter(None, words.split(","))))
    return list(found.values())


def _mount(point: MountPoint) -> Mount:
    if point.type == "tmpfs":
        return _tmpfs(point.destination, (*point.options, *(() if point.rw else ("ro",))))
    options = ["rbind" if point.recursive else "bind", point.propagation or "rprivate"]
    if not point.rw:
        # Docker makes mounts below it read-only too, unless it was told not to.
        deep = point.type == "bind" and point.recursive and "ro-non-recursive" not in point.options
        options.append("rro" if deep else "ro")
    return {"destination": point.destination, "type": "bind", "source": point.source, "options": options}


def _tmpfs(destination: str, words: Iterable[str]) -> Mount:
    """Docker's defaults, but for what the words say otherwise."""
    options = list(_TMPFS)
    for word in words:
        opposite = _OPPOSITES.get(word)
        if opposite in options:
            options.remove(opposite)
        if word not in options:
            options.append(word)
    return {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options}
