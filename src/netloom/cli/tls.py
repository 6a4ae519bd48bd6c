"""A TLS connection whose writing half may be closed alone, as an attached container's input needs it.

The library's own TLS socket cannot: shutting it down ends reading too, and its `unwrap` loses what arrives meanwhile.
Here the records lie in memory, so the closing alert is sent while nothing unread is there.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl

from netloom.cli.connection import Outbox
from netloom.cli.errors import CliError

CERTIFICATES = "NETLOOM_CERT_PATH"  # a folder with ca.pem, cert.pem and key.pem, as DOCKER_CERT_PATH is
_PIECE = 1 << 16


def context(host: str) -> ssl.SSLContext:
    """Who we are and whom we trust, from the folder of certificates. Raises CliError naming what is missing."""
    folder = os.environ.get(CERTIFICATES)
    if not folder:
        raise CliError(f"{host} needs certificates: name their folder in {CERTIFICATES}")
    try:
        made = ssl.create_default_context(cafile=f"{folder}/ca.pem")
        made.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    except OSError as error:
        raise CliError(f"cannot use the certificates in {folder}: {error.strerror or error}") from None
    return made


class TlsConnection:
    """A `Connection` inside TLS."""

    def __init__(self, plain: socket.socket, settings: ssl.SSLContext, name: str) -> None:
        """Shake hands; `name` must be in the daemon's certificate. Raises OSError (an SSLError is one)."""
        self._plain = plain
        self._outbox = Outbox(plain)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = settings.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                if not self._fill():
                    raise ConnectionResetError("the daemon broke off the handshake") from None
            else:
                self._flush()
                return

    def fileno(self) -> int:
        """See `Connection`, as all that follows."""
        return self._plain.fileno()

    def sendall(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def recv(self, _size: int) -> bytes:
        while True:
            data = self._decrypted()
            if data or data is None:
                return data or b""
            if not self._fill():
                return b""

    def offer(self, data: bytes) -> None:
        self._tls.write(data)
        self._outbox.queue(self._outgoing.read())

    def finish(self) -> None:
        # the peer's own closing alert, which would complete this, comes at its end
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._outbox.queue(self._outgoing.read())

    def flush(self) -> None:
        self._outbox.flush()

    @property
    def pending(self) -> bool:
        return self._outbox.pending

    def close(self) -> None:
        self._plain.close()

    def _decrypted(self) -> bytes | None:
        """What can be read now; None when the peer has closed."""
        data = b""
        while True:
            try:
                piece = self._tls.read(_PIECE)
            except ssl.SSLWantReadError:
                return data
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return data or None
            if not piece:
                return data or None
            data += piece

    def _fill(self) -> bool:
        """Wait for bytes; False at the end."""
        data = self._plain.recv(_PIECE)
        self._incoming.write(data)
        return bool(data)

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._plain.sendall(data)
