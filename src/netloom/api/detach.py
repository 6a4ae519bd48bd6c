"""The keys that leave a terminal without ending its process (Ctrl-P, Ctrl-Q)."""

from __future__ import annotations

from netloom.model.errors import InvalidArgument

DEFAULT = b"\x10\x11"
_CONTROL = {**{chr(ord("a") + i): i + 1 for i in range(26)}, "@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q` or single characters, separated by commas; empty means the default."""
    if not text:
        return DEFAULT
    keys = []
    for part in text.split(","):
        if len(part) == 1 and ord(part) < 128:
            keys.append(ord(part))
        elif part.startswith("ctrl-") and part[5:].lower() in _CONTROL:
            keys.append(_CONTROL[part[5:].lower()])
        else:
            raise InvalidArgument(f"Invalid detach keys ({text}) provided")
    return bytes(keys)


class Watch:
    """Looks for the keys in what is typed. A beginning of them is held back until the next key tells."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._seen = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What goes on to the process, and whether the keys were pressed; what follows them is dropped."""
        out = bytearray()
        for byte in data:
            if byte != self._keys[self._seen]:
                out += self._keys[: self._seen]
                self._seen = 0
            if byte == self._keys[self._seen]:
                self._seen += 1
                if self._seen == len(self._keys):
                    self._seen = 0
                    return bytes(out), True
            else:
                out.append(byte)
        return bytes(out), False
