"""Containers' files in memory: implements `engine.ports.Files`."""

from __future__ import annotations


class FakeFiles:
    """`texts` by container and name; `host` are the host's own files."""

    def __init__(self) -> None:
        self.texts: dict[str, dict[str, str]] = {}
        self.host = {"resolv.conf": "nameserver 192.0.2.53\n", "hosts": "127.0.0.1\tlocalhost\n"}

    def host_resolv_conf(self) -> str:
        return self.host["resolv.conf"]

    def host_file(self, name: str) -> str:
        return self.host.get(name, "")

    def write(self, container: str, name: str, text: str) -> None:
        self.texts.setdefault(container, {})[name] = text

    def read(self, container: str, name: str) -> str:
        return self.texts.get(container, {}).get(name, "")

    def path(self, container: str, name: str = "") -> str:
        return f"/nowhere/{container}/{name}".removesuffix("/")
