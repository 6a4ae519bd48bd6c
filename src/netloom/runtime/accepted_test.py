"""Accepted or still in the queue?"""

import socket
from pathlib import Path

import pytest

from netloom.runtime.accepted import is_accepted


@pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_STREAM])
def test_the_queue_is_told_from_the_accepted(tmp_path: Path, kind: socket.SocketKind) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, kind) as server, socket.socket(socket.AF_UNIX, kind) as client:
        server.bind(path)
        server.listen()
        client.connect(path)
        assert not is_accepted(client)
        taken, _ = server.accept()
        assert is_accepted(client)
        taken.close()
        assert is_accepted(client)
