"""Platforms: `linux/arm64/v8` as asked for, and the manifest of an index that suits one."""

from __future__ import annotations

import platform as machine
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from netloom.model.errors import InvalidArgument, NotFound

# Go's names of the machines that Linux names otherwise, with the variant that this machine runs at best.
_MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
}
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm", "armel": "arm"}
_SYSTEMS = ("linux", "windows", "darwin", "freebsd", "netbsd", "openbsd")
_PART = re.compile(r"[A-Za-z0-9_.-]+")


class Platform(Struct, frozen=True):
    """As image indexes name it."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def own() -> Platform:
    """This machine's."""
    architecture, variant = _MACHINES.get(machine.machine(), (machine.machine(), ""))
    return Platform("linux", architecture, variant)


def parse(text: str) -> Platform:
    """`linux/amd64`, `arm64`, `linux/arm/v7`; or the JSON of newer clients. Raises InvalidArgument."""
    if text.startswith("{"):
        try:
            return _normal(*msgspec.convert(msgspec.json.decode(text), _Json).parts())
        except msgspec.DecodeError as error:
            raise InvalidArgument(f"failed to parse platform: {error}") from error
    parts = text.lower().split("/")
    if not 1 <= len(parts) <= 3 or not all(_PART.fullmatch(part) for part in parts):
        raise InvalidArgument(f'"{text}": cannot parse platform specifier: invalid argument')
    if len(parts) == 1:
        return _normal(parts[0], own().architecture, "") if parts[0] in _SYSTEMS else _normal("linux", parts[0], "")
    return _normal(parts[0], parts[1], parts[2] if len(parts) > 2 else "")


class _Json(Struct):
    architecture: str = ""
    os: str = ""
    variant: str = ""

    def parts(self) -> tuple[str, str, str]:
        return self.os or "linux", self.architecture, self.variant


def _normal(os: str, architecture: str, variant: str) -> Platform:
    architecture = _ALIASES.get(architecture, architecture)
    if architecture == "arm64" and not variant:
        variant = "v8"
    if architecture == "arm" and not variant:
        variant = "v7"
    return Platform(os, architecture, variant)


def choose(manifests: Sequence[Mapping[str, Any]], wanted: Platform) -> str:
    """The digest of the manifest for a platform: the same variant, else an older one. Raises NotFound."""
    suiting = []
    for entry in manifests:
        has = entry.get("platform") or {}
        found = _normal(has.get("os", ""), has.get("architecture", ""), has.get("variant", ""))
        if (found.os, found.architecture) == (wanted.os, wanted.architecture) and found.variant <= wanted.variant:
            suiting.append((found.variant, str(entry["digest"])))
    if not suiting:
        raise NotFound(f"no matching manifest for {wanted} in the manifest list entries")
    best = max(variant for variant, _ in suiting)
    return next(digest for variant, digest in suiting if variant == best)
