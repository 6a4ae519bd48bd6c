import socket
import threading
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.cli.connection import PlainConnection
from netloom.cli.http1 import BrokenAnswer, Exchange


def answered(answer: bytes, cut: int = 1 << 16) -> Exchange:
    """An exchange whose peer reads the request, then sends this in pieces and closes."""
    mine, theirs = socket.socketpair()

    def serve() -> None:
        with theirs:
            while b"\r\n\r\n" not in theirs.recv(65536):
                pass
            for at in range(0, len(answer), cut):
                theirs.sendall(answer[at : at + cut])

    thread = threading.Thread(target=serve)
    thread.start()
    exchange = Exchange(PlainConnection(mine))
    try:
        exchange.send("GET", "/x", {"Host": "d"}, b"")
    except BaseException:
        mine.close()
        raise
    finally:
        thread.join()
    return exchange


def whole(answer: bytes, cut: int = 1 << 16) -> bytes:
    exchange = answered(answer, cut)
    try:
        return exchange.body()
    finally:
        exchange.close()


@pytest.mark.parametrize("cut", [1, 7, 1 << 16])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
    ],
)
def test_bodies(answer: bytes, cut: int) -> None:
    assert whole(answer, cut) == b"hello"


def test_no_body() -> None:
    assert whole(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n") == b""


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
    ],
)
def test_broken_answers(answer: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        whole(answer)


@given(st.binary(max_size=40))
def test_a_surrendered_connection_loses_no_byte(early: bytes) -> None:
    exchange = answered(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n" + early)
    connection, rest = exchange.surrender()
    with closing(connection):
        while piece := connection.recv(100):
            rest += piece
    assert (exchange.status, rest) == (101, early)
