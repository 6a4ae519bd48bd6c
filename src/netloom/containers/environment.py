"""A program's environment, as Docker puts it together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def merge(base: Iterable[str], override: Iterable[str]) -> tuple[str, ...]:
    """NAME=value pairs of `base` in order, replaced in place by those of `override`; a bare NAME takes one away."""
    values: dict[str, str] = {}
    for entry in (*base, *override):
        name, equals, value = entry.partition("=")
        if equals:
            values[name] = value
        else:
            values.pop(name, None)
    return tuple(f"{name}={value}" for name, value in values.items())


def assemble(hostname: str, *, tty: bool, own: Sequence[str] = (), links: Sequence[str] = ()) -> tuple[str, ...]:
    """What a container's program sees but for HOME, which depends on the user (`with_home`)."""
    daemon = [DEFAULT_PATH, f"HOSTNAME={hostname}"]
    if tty:
        daemon.append("TERM=xterm")
    return merge((*daemon, *links), own)


def with_home(env: Sequence[str], home: str) -> list[str]:
    """Add HOME when nobody set it (an empty one counts as not set, as with runc)."""
    if any(entry.startswith("HOME=") and entry != "HOME=" for entry in env):
        return list(env)
    return [*(entry for entry in env if not entry.startswith("HOME=")), f"HOME={home}"]
