from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from netloom.daemon.tls import mutual
from netloom.model.errors import InvalidArgument


def signed(folder: Path, ca: str, name: str) -> None:
    """A key and a certificate of NAME, signed by a CA that is made when it is not there."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    if not (folder / f"{ca}.pem").exists():
        openssl("req", "-x509", *curve, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}")
    openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial"),
        *("-extfile", "names", "-out", f"{name}.pem"),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("tls")
    for ca, name in (("ca", "server"), ("ca", "client"), ("other", "stranger")):
        signed(found, ca, name)
    return found


async def answer(folder: Path, client: str | None) -> bytes:
    """What a client with this certificate reads from a server that says hello; nothing when it is turned away.

    With TLS 1.3 the client learns that only when it reads.
    """

    async def hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    context = mutual(str(folder / "ca.pem"), str(folder / "server.pem"), str(folder / "server.key"))
    asking = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if client:
        asking.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
    async with await asyncio.start_server(hello, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=asking)
        except (ssl.SSLError, ConnectionError):
            return b""
        try:
            return await reader.read()
        except (ssl.SSLError, ConnectionError):
            return b""
        finally:
            writer.close()


async def test_a_client_of_our_ca_is_served(folder: Path) -> None:
    assert await answer(folder, "client") == b"hello"


@pytest.mark.parametrize("client", [None, "stranger"])
async def test_nobody_else_is(folder: Path, client: str | None) -> None:
    assert await answer(folder, client) == b""


@pytest.mark.parametrize(
    ("ca", "certificate", "key", "sentence"),
    [
        ("none.pem", "server.pem", "server.key", "--tlscacert: .* cannot be read"),
        ("ca.pem", "server.pem", "client.key", "do not go together"),
        ("ca.key", "server.pem", "server.key", "--tlscacert: .* holds no certificate"),
    ],
)
def test_a_file_that_will_not_do_is_named(folder: Path, ca: str, certificate: str, key: str, sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        mutual(str(folder / ca), str(folder / certificate), str(folder / key))
