"""The client over TLS against the library's own server side."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom.cli.client import Client
from netloom.cli.errors import CliError, NoDaemon
from netloom.cli.tls import CERTIFICATES, TlsConnection, context


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One certificate that is CA, server and client at once."""
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:TRUE"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    return folder


@contextmanager
def served(folder: Path, talk: Callable[[socket.socket, ssl.SSLContext], None]) -> Iterator[str]:
    """The address of a server that talks to one client."""
    settings = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    settings.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    settings.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            with plain:
                plain.settimeout(10)
                talk(plain, settings)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join()


def test_requests(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def talk(plain: socket.socket, settings: ssl.SSLContext) -> None:
        with settings.wrap_socket(plain, server_side=True) as tls:
            assert tls.recv(65536).startswith(b"GET /v1.51/info HTTP/1.1\r\n")
            body = b'"' + b"x" * 100_000 + b'"'
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    monkeypatch.setenv(CERTIFICATES, str(folder))
    with served(folder, talk) as host:
        assert Client(host).get("/info") == "x" * 100_000


def test_the_writing_half_closes_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer reads to the end of our input, having answered all the while, and answers on."""
    sent = bytes(range(256)) * 2000

    def talk(plain: socket.socket, settings: ssl.SSLContext) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = settings.wrap_bio(incoming, outgoing, server_side=True)
        got = 0
        ended = shaken = False
        while not ended:
            incoming.write(plain.recv(65536))
            try:
                if not shaken:
                    tls.do_handshake()
                    shaken = True
                while True:
                    piece = tls.read(65536)
                    ended = ended or not piece
                    if not piece:
                        break
                    got += len(piece)
                    tls.write(b"." * 1000)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                ended = True
            plain.sendall(outgoing.read())
        tls.write(b"end %d" % got)
        tls.unwrap()
        plain.sendall(outgoing.read())

    monkeypatch.setenv(CERTIFICATES, str(folder))
    with served(folder, talk) as host:
        plain = socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])))
        plain.settimeout(10)
        tls = TlsConnection(plain, context(host), "127.0.0.1")
        try:
            tls.sendall(sent[:1000])
            tls.offer(sent[1000:])
            while tls.pending:
                select.select([], [tls.fileno()], [], 10)
                tls.flush()
            tls.finish()
            answer = b""
            while piece := tls.recv(100):
                answer += piece
        finally:
            tls.close()
    assert answer.endswith(b"end %d" % len(sent))
    assert answer.startswith(b"." * 1000)


def test_a_stranger_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def talk(plain: socket.socket, settings: ssl.SSLContext) -> None:
        with pytest.raises(OSError):
            settings.wrap_socket(plain, server_side=True)

    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=other"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "ca.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
    monkeypatch.setenv(CERTIFICATES, str(tmp_path))
    with served(folder, talk) as host, pytest.raises(NoDaemon, match="certificate verify failed"):
        Client(host).get("/info")


def test_missing_certificates_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CERTIFICATES, raising=False)
    with pytest.raises(CliError, match="tcp://h needs certificates: name their folder in NETLOOM_CERT_PATH"):
        Client("tcp://h").get("/info")
    monkeypatch.setenv(CERTIFICATES, str(tmp_path))
    with pytest.raises(CliError, match=r"cannot use the certificates in .*: No such file or directory"):
        Client("tcp://h:1").get("/info")
