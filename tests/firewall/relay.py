"""A stand-in for the relay: what the firewall hands over is answered by the target that its original address names."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Mapping

from netloom.testing.hosts import Netns

_ORIGINAL_DST = 80  # IP6T_SO_ORIGINAL_DST

Table = Mapping[tuple[str, int], tuple[str, int]]  # address ("::" for any) and port → target


class TestRelay:
    """One listener for all TCP ports, a socket for each UDP port, one exchange at a time; on `host` until `close`."""

    __test__ = False

    def __init__(self, host: Netns, table: Table) -> None:
        self._host = host
        self._table = table
        self._listener = host.call(_bound, socket.SOCK_STREAM, "::", 0)
        self._listener.listen()
        self._datagrams = {
            host.call(_bound, socket.SOCK_DGRAM, ip, port): target for (ip, port), target in table.items()
        }
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="relay")
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """Stop, and close all sockets."""
        self._stop.send(b"x")
        self._thread.join()
        for sock in (self._listener, *self._datagrams, self._stop, self._stopped):
            sock.close()

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._stopped, self._listener, *self._datagrams], [], [])
            if self._stopped in ready:
                return
            for sock in ready:
                try:
                    if sock is self._listener:
                        self._stream()
                    else:
                        self._datagram(sock)
                except OSError:
                    continue  # the client or the target has gone: the client's question stays unanswered

    def _stream(self) -> None:
        client, _ = self._listener.accept()
        with client:
            original = client.getsockopt(socket.IPPROTO_IPV6, _ORIGINAL_DST, 28)
            port = struct.unpack_from("!H", original, 2)[0]
            ip = socket.inet_ntop(socket.AF_INET6, original[8:24])
            target = self._table.get((ip, port)) or self._table[("::", port)]
            with self._host.call(socket.create_connection, target, 20.0) as server:
                while data := server.recv(2048):
                    client.sendall(data)

    def _datagram(self, sock: socket.socket) -> None:
        data, told, _, client = sock.recvmsg(2048, 64)
        with self._host.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.settimeout(20)
            server.sendto(data, self._datagrams[sock])
            sock.sendmsg([server.recv(2048)], told, 0, client)  # from the address that was asked


def _bound(kind: socket.SocketKind, ip: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_DGRAM:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    sock.bind((ip, port))
    return sock
