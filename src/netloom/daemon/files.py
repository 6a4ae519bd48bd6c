"""The files that containers find in their /etc, on disk."""

from __future__ import annotations

import errno
import os
import shutil

from netloom.model.errors import Exhausted, Failed

RESOLV_CONF = "/etc/resolv.conf"
RESOLVED = "/run/systemd/resolve/resolv.conf"  # systemd-resolved(8): the real upstreams behind its stub
STUB = "127.0.0.53"
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC


class DiskFiles:
    """Implements engine.ports.Files below STATE/containers."""

    def __init__(self, state_dir: str) -> None:
        self._root = os.path.join(state_dir, "containers")
        self._host = _Unchanged()

    def host_resolv_conf(self) -> str:
        """The host's servers; behind systemd-resolved's stub, the ones that it asks itself."""
        text = self._host.text(RESOLV_CONF)
        servers = [line.split()[1] for line in text.splitlines() if line.startswith("nameserver") and line.split()[1:]]
        if servers == [STUB]:
            return self._host.text(RESOLVED) or text
        return text

    def host_file(self, name: str) -> str:
        """Text of the host's /etc/NAME."""
        return _text(os.path.join("/etc", name))

    def write(self, container: str, name: str, text: str) -> None:
        """Rewrite in place: a bind mount of the old inode would never see a renamed one.

        Cut after the write, never emptied before: ext4 sends a file that was truncated to nothing to the disk when
        it is closed (auto_da_alloc), which takes half a millisecond.
        """
        path = self.path(container, name)
        try:
            _write(path, text.encode())
        except OSError as error:
            kind = Exhausted if error.errno in (errno.ENOSPC, errno.EDQUOT) else Failed
            raise kind(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error

    def read(self, container: str, name: str) -> str:
        """Its text."""
        return _text(self.path(container, name))

    def path(self, container: str, name: str = "") -> str:
        """STATE/containers/ID/NAME."""
        return os.path.join(self._root, container, name) if name else os.path.join(self._root, container)

    def remove(self, container: str) -> None:
        """Remove the container's folder with all that is in it; none is success."""
        shutil.rmtree(self.path(container), ignore_errors=True)


class _Unchanged:
    """Texts of files that are asked for much more often than they change."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int, int, int], str]] = {}

    def text(self, path: str) -> str:
        """As `_text`; read again when the file is another one or was written since."""
        try:
            now = os.stat(path)
        except OSError:
            return ""
        mark = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)
        known = self._known.get(path)
        if known is None or known[0] != mark:
            known = self._known[path] = (mark, _text(path))
        return known[1]


def _write(path: str, data: bytes) -> None:
    try:
        fd = os.open(path, _WRITE, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o710, exist_ok=True)
        fd = os.open(path, _WRITE, 0o644)
    try:
        if os.write(fd, data) != len(data):  # the disk took a part of it
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def _text(path: str) -> str:
    """The whole text, empty when there is none. By descriptor: a file object costs four times as much."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        pieces = []
        while piece := os.read(fd, 65536):
            pieces.append(piece)
    except IsADirectoryError:
        return ""
    finally:
        os.close(fd)
    return b"".join(pieces).decode(errors="replace")
