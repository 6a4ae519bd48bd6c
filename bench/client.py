"""A thin Engine API client: one kept-open connection, so that what is timed is the engine."""

from __future__ import annotations

import json
import socket
import time
from typing import Any


class Client:
    """Blocking requests over a unix socket; not for several threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(120)
        self.connection.connect(path)
        self.buffer = b""

    def close(self) -> None:
        self.connection.close()

    def call(self, method: str, target: str, body: object = None, raw: bytes | None = None) -> Any:
        """The decoded answer. Raises RuntimeError for a status of 400 and above."""
        status, content = self._exchange(method, target, body, raw)
        if status >= 400:
            raise RuntimeError(f"{method} {target}: {status} {content.decode(errors='replace').strip()}")
        return json.loads(content) if content.startswith((b"{", b"[")) and b"\n{" not in content else content

    def timed(self, method: str, target: str, body: object = None) -> float:
        """Milliseconds from request to reply."""
        start = time.perf_counter()
        self.call(method, target, body)
        return (time.perf_counter() - start) * 1e3

    def _exchange(self, method: str, target: str, body: object, raw: bytes | None) -> tuple[int, bytes]:
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        kind = "application/x-tar" if raw is not None else "application/json"
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: bench\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self.connection.sendall(head.encode() + data)
        head_lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(head_lines[0].split()[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head_lines[1:])}
        if headers.get("transfer-encoding") == "chunked":
            return status, self._chunks()
        return status, self._exactly(int(headers.get("content-length", "0")))

    def _more(self) -> None:
        received = self.connection.recv(65536)
        if not received:
            raise ConnectionError(f"{self.path}: closed in the midst of an answer")
        self.buffer += received

    def _until(self, mark: bytes) -> bytes:
        while (end := self.buffer.find(mark)) < 0:
            self._more()
        found, self.buffer = self.buffer[:end], self.buffer[end + len(mark) :]
        return found

    def _exactly(self, length: int) -> bytes:
        while len(self.buffer) < length:
            self._more()
        found, self.buffer = self.buffer[:length], self.buffer[length:]
        return found

    def _chunks(self) -> bytes:
        parts = []
        while length := int(self._until(b"\r\n").split(b";")[0], 16):
            parts.append(self._exactly(length))
            self._until(b"\r\n")
        self._until(b"\r\n")
        return b"".join(parts)
