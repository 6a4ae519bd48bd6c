"""The relay's process: one for all ports, beside the data plane, so that bulk copying delays no name.

Started by the data plane with two descriptors: its control channel, and the TCP listener to which the firewall
redirects. When the channel ends it accepts nothing more and ends with its last connection.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Sequence

import msgspec

from netloom.dataplane.channel import Channel
from netloom.dataplane.limits import raise_descriptor_limit
from netloom.dataplane.loop import Loop
from netloom.dataplane.register import Register
from netloom.dataplane.relay_datagrams import DatagramRelay
from netloom.dataplane.relay_protocol import Update, Updated
from netloom.dataplane.relay_streams import StreamRelay
from netloom.model.names import Relay

_ANY = "::"


class RelayProcess:
    """The tables, and what serves them."""

    def __init__(self, loop: Loop, control: socket.socket, listener: socket.socket) -> None:
        self._loop = loop
        self._streams: Register[Relay, None] = Register()
        self._datagrams: dict[tuple[str, int], DatagramRelay] = {}
        self._decode = msgspec.msgpack.Decoder(Update).decode
        listener.listen(1024)
        self._listener = listener
        self._relay = StreamRelay(loop, listener, self._lookup)
        self._channel = Channel(loop, control, self._update, loop.stop)

    def run(self) -> None:
        """Until the data plane has gone and the last connection has ended."""
        self._loop.run()
        self._relay.stop()
        self._listener.close()
        for datagrams in self._datagrams.values():
            datagrams.close()
        while self._relay.busy:
            self._loop.step()

    def _update(self, frame: bytes, fds: list[int]) -> None:
        update = self._decode(frame)
        for row in update.drop:
            self._drop(row)
        sockets = iter(fds)
        for row in update.add:
            if row.proto == "tcp":
                self._streams.put(row, None)
            else:
                self._drop(row)
                sock, target = socket.socket(fileno=next(sockets)), (row.target, row.target_port)
                self._datagrams[row.ip, row.port] = DatagramRelay(self._loop, sock, target)
        self._relay.begin()  # who came while an earlier relay ended waits at the listener for these rows
        self._channel.send(msgspec.msgpack.encode(Updated(update.seq)))

    def _drop(self, row: Relay) -> None:
        if row.proto == "tcp":
            self._streams.take(row)
        elif (gone := self._datagrams.pop((row.ip, row.port), None)) is not None:
            gone.close()

    def _lookup(self, ip: str, port: int) -> tuple[str, int] | None:
        for row, _ in self._streams.over("tcp", ip, port) or self._streams.over("tcp", _ANY, port):
            return row.target, row.target_port + port - row.port
        return None


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of `python -m netloom.dataplane.relay`."""
    parser = argparse.ArgumentParser(prog="netloom relay")
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--listener-fd", type=int, required=True)
    options = parser.parse_args(argv)
    os.set_inheritable(options.control_fd, False)
    os.set_inheritable(options.listener_fd, False)
    raise_descriptor_limit()
    control, listener = (socket.socket(fileno=fd) for fd in (options.control_fd, options.listener_fd))
    RelayProcess(Loop(), control, listener).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
