"""The name server of the outside network: knows one name, and says of every other that it does not exist."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from netloom.testing.hosts import OUTSIDE4, Netns

NAME = "outside.test"
_QUESTION = b"".join(bytes([len(label)]) + label.encode() for label in NAME.split(".")) + b"\0"
_A_IN = b"\0\x01\0\x01"
_ANSWER = b"\xc0\x0c" + _A_IN + (60).to_bytes(4, "big") + b"\0\x04" + socket.inet_aton(OUTSIDE4)
_NO_ERROR, _NO_SUCH_NAME = 0x8580, 0x8583  # QR, AA, RD, RA (RFC 1035, section 4.1.1)


@contextmanager
def nameserver(outside: Netns) -> Iterator[None]:
    """Answers on port 53 of OUTSIDE4 while the context lasts."""
    with outside.call(_bound) as server:
        stop = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            server.sendto(b"", (OUTSIDE4, 53))  # wakes it
            thread.join()


def _bound() -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((OUTSIDE4, 53))
    return server


def _serve(server: socket.socket, stop: threading.Event) -> None:
    while True:
        query, client = server.recvfrom(512)
        if stop.is_set():
            return
        if len(query) > 12:
            server.sendto(reply(query), client)


def reply(query: bytes) -> bytes:
    """The answer to a query with one question; its additional section (EDNS) is left out."""
    end = query.index(b"\0", 12) + 5
    question = query[12:end]
    known = question[:-4].lower() == _QUESTION
    answers = [_ANSWER] if known and question[-4:] == _A_IN else []
    flags = _NO_ERROR if known else _NO_SUCH_NAME
    counts = b"\0\x01" + len(answers).to_bytes(2, "big") + b"\0\0\0\0"
    return query[:2] + flags.to_bytes(2, "big") + counts + question + b"".join(answers)
