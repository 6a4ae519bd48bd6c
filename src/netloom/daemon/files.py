"""The files that containers find in their /etc, on disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

RESOLVED = "/run/systemd/resolve/resolv.conf"  # systemd-resolved(8): the real upstreams behind its stub
STUB = "127.0.0.53"


class DiskFiles:
    """Implements engine.ports.Files below STATE/containers."""

    def __init__(self, state_dir: str) -> None:
        self._root = os.path.join(state_dir, "containers")

    def host_resolv_conf(self) -> str:
        """The host's servers; behind systemd-resolved's stub, the ones that it asks itself."""
        text = _text("/etc/resolv.conf")
        servers = [line.split()[1] for line in text.splitlines() if line.startswith("nameserver") and line.split()[1:]]
        if servers == [STUB]:
            return _text(RESOLVED) or text
        return text

    def host_file(self, name: str) -> str:
        """Text of the host's /etc/NAME."""
        return _text(os.path.join("/etc", name))

    def write(self, container: str, name: str, text: str) -> None:
        """Rewrite in place: a bind mount of the old inode would never see a renamed one."""
        path = self.path(container, name)
        os.makedirs(os.path.dirname(path), mode=0o710, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644), "w") as file:
            file.write(text)

    def read(self, container: str, name: str) -> str:
        """Its text."""
        return _text(self.path(container, name))

    def path(self, container: str, name: str = "") -> str:
        """STATE/containers/ID/NAME."""
        return os.path.join(self._root, container, name) if name else os.path.join(self._root, container)

    def remove(self, container: str) -> None:
        """Remove the container's folder with all that is in it; none is success."""
        shutil.rmtree(self.path(container), ignore_errors=True)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        return ""
