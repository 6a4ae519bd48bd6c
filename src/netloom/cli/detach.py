"""The keys that leave a container running: ctrl-p ctrl-q, or what `--detach-keys` says."""

from __future__ import annotations

from netloom.cli.errors import NOT_RUN, CliError

DEFAULT_KEYS = "ctrl-p,ctrl-q"
_CONTROLS = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q` or `a,b` as the bytes that a terminal sends."""
    keys = bytearray()
    for key in text.split(","):
        if len(key) == 1 and key.isascii():
            keys += key.encode()
            continue
        control = key.lower().removeprefix("ctrl-")
        if key.lower().startswith("ctrl-") and len(control) == 1 and "a" <= control <= "z":
            keys.append(ord(control) - ord("a") + 1)
        elif key.lower().startswith("ctrl-") and control in _CONTROLS:
            keys.append(_CONTROLS[control])
        else:
            raise CliError(f"invalid detach keys ({text}): unknown character: '{key}'", NOT_RUN)
    return bytes(keys)


class DetachKeys:
    """Watches what is typed. The beginning of the sequence is held back until it is complete or broken off."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What goes on to the container, and whether the sequence is complete."""
        out = bytearray()
        for at in range(len(typed)):
            self._held += typed[at : at + 1]
            while self._held and not self._keys.startswith(self._held):
                out.append(self._held[0])
                self._held = self._held[1:]
            if self._held and self._held == self._keys:
                self._held = b""
                return bytes(out), True
        return bytes(out), False
