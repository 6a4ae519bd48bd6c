import select
import socket

from netloom.cli.connection import PlainConnection


def test_offering_does_not_wait_and_the_end_follows_the_last_byte() -> None:
    mine, theirs = socket.socketpair()
    connection = PlainConnection(mine)
    data = bytes(5_000_000)
    connection.offer(data)
    connection.finish()
    assert connection.pending
    got = 0
    while piece := theirs.recv(1 << 20):
        got += len(piece)
        select.select([], [connection.fileno()], [], 0)
        connection.flush()
    assert got == len(data)
    theirs.sendall(b"answer")
    theirs.close()
    assert connection.recv(100) == b"answer"
    connection.close()


def test_a_peer_that_has_gone_takes_everything() -> None:
    mine, theirs = socket.socketpair()
    theirs.close()
    connection = PlainConnection(mine)
    connection.offer(b"x")
    connection.finish()
    assert not connection.pending
    connection.close()
