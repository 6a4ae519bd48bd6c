"""TLS of the TCP socket: the client shows a certificate of our CA, or there is no connection."""

from __future__ import annotations

import ssl
from pathlib import Path

from netloom.model.errors import InvalidArgument


def mutual(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """A server's context, TLS 1.2 or newer. Raises InvalidArgument naming the option whose file will not do."""
    for option, file in (("--tlscacert", ca), ("--tlscert", certificate), ("--tlskey", key)):
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise InvalidArgument(f"{option}: {file} cannot be read: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise InvalidArgument(f"--tlscacert: {ca} holds no certificate: {error.reason or error}") from None
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise InvalidArgument(
            f"--tlscert {certificate} and --tlskey {key} do not go together: {error.reason or error}"
        ) from None
    return context
