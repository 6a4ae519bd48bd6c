from __future__ import annotations

import socket

import pytest

from netloom.kernel.socket import SOCK_DIAG, NetlinkSocket
from netloom.netlink import sockets
from netloom.netlink.message import Malformed


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_who_listens_is_told_and_nobody_else(family: socket.AddressFamily) -> None:
    own = "127.0.0.1" if family == socket.AF_INET else "::1"
    with (
        socket.socket(family, socket.SOCK_STREAM) as listener,
        socket.socket(family, socket.SOCK_STREAM) as silent,
        socket.socket(family, socket.SOCK_DGRAM) as datagrams,
        NetlinkSocket(SOCK_DIAG, large=False) as diag,
    ):
        for one in (listener, silent, datagrams):
            one.bind((own, 0))
        listener.listen()
        tcp, udp = (
            {sockets.port(body) for body in diag.dump(sockets.listeners(family, proto), absent=False)}
            for proto in (socket.IPPROTO_TCP, socket.IPPROTO_UDP)
        )
        assert listener.getsockname()[1] in tcp
        assert silent.getsockname()[1] not in tcp
        assert datagrams.getsockname()[1] in udp


def test_what_is_cut_short_is_refused() -> None:
    with pytest.raises(Malformed):
        sockets.port(bytes(5))
