"""Names of images as Docker reads them: `web`, `docker.io/library/web:latest`, `registry:5000/a/b@sha256:…`.

The grammar is that of distribution/reference; nothing here knows which images there are.
"""

from __future__ import annotations

import re

from msgspec import Struct

from netloom.model.errors import InvalidArgument

HUB = "docker.io"
LATEST = "latest"

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])"
_DOMAIN = re.compile(rf"{_HOST}(?::[0-9]+)?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_LONGEST = 255  # of a repository's name


class Reference(Struct, frozen=True):
    """`tag` and `digest` are empty where none was given."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """The whole name: `docker.io/library/web`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """As a person writes the repository: `web`."""
        return self.path.removeprefix("library/") if self._official else self._short_repository

    @property
    def familiar(self) -> str:
        """The same with tag and digest."""
        return self.familiar_name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def whole(self) -> str:
        """The canonical text, under which it is stored."""
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def with_default_tag(self) -> Reference:
        """`latest` where neither tag nor digest was given."""
        return self if self.tag or self.digest else Reference(self.domain, self.path, LATEST)

    @property
    def _official(self) -> bool:
        return self.domain == HUB and self.path.startswith("library/") and self.path.count("/") == 1

    @property
    def _short_repository(self) -> str:
        return self.path if self.domain == HUB else self.repository


def is_domain(text: str) -> bool:
    """Whether a text is a registry's `HOST[:PORT]`."""
    return _DOMAIN.fullmatch(text) is not None


def parse(text: str) -> Reference:
    """Raises InvalidArgument `invalid reference format…` with Docker's words."""
    if _HEX64.fullmatch(text):
        raise InvalidArgument(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise InvalidArgument("invalid reference format")
    head, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise InvalidArgument("invalid reference format")
    domain, path = _split(head + slash + last)
    if not _PATH.fullmatch(path):
        if _PATH.fullmatch(path.lower()):
            raise InvalidArgument(f"invalid reference format: repository name ({path}) must be lowercase")
        raise InvalidArgument("invalid reference format")
    if not _DOMAIN.fullmatch(domain):
        raise InvalidArgument("invalid reference format")
    if len(domain) + len(path) + 1 > _LONGEST:
        raise InvalidArgument(f"repository name must not be more than {_LONGEST} characters")
    return Reference(domain, path, tag, digest)


def _split(name: str) -> tuple[str, str]:
    """The registry and the path; a first part that looks like no host name belongs to the path."""
    first, slash, rest = name.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost" or first.lower() != first):
        domain, path = HUB, name
    else:
        domain, path = first, rest
    if domain == "index.docker.io":
        domain = HUB
    if domain == HUB and "/" not in path:
        path = f"library/{path}"
    return domain, path


def check_tag(tag: str) -> None:
    """Raises InvalidArgument for what cannot be a tag."""
    if not _TAG.fullmatch(tag):
        raise InvalidArgument("invalid tag format")


def is_digest(text: str) -> bool:
    """Is it `sha256:` and 64 digits?"""
    return _DIGEST.fullmatch(text) is not None
