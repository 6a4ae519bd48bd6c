"""The relay's process: one for all ports, beside the data plane, so that bulk copying delays no name.

Started by the data plane with two descriptors: its control channel, and the TCP listener to which the firewall
redirects. When the channel ends it accepts nothing more and ends with its last connection.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
from collections.abc import Sequence

import msgspec

from netloom.dataplane.channel import Channel
from netloom.dataplane.limits import raise_descriptor_limit
from netloom.dataplane.relay_datagrams import DatagramRelay
from netloom.dataplane.relay_protocol import Update, Updated
from netloom.dataplane.relay_streams import StreamRelay
from netloom.model.names import Relay

_ANY = "::"


class RelayProcess:
    """The tables, and what serves them."""

    def __init__(self, control: socket.socket, listener: socket.socket) -> None:
        self._streams: dict[tuple[str, int], tuple[str, int]] = {}
        self._datagrams: dict[tuple[str, int], DatagramRelay] = {}
        self._decode = msgspec.msgpack.Decoder(Update).decode
        self._ended = asyncio.Event()
        listener.listen(1024)
        self._listener = listener
        self._relay = StreamRelay(listener, self._lookup)
        self._channel = Channel(asyncio.get_running_loop(), control, self._update, self._ended.set)

    async def run(self) -> None:
        """Until the data plane has gone and the last connection has ended."""
        await self._ended.wait()
        self._relay.stop()
        self._listener.close()
        for datagrams in self._datagrams.values():
            datagrams.close()
        while self._relay.busy:
            await asyncio.sleep(1)

    def _update(self, frame: bytes, fds: list[int]) -> None:
        update = self._decode(frame)
        for row in update.drop:
            self._drop(row)
        sockets = iter(fds)
        for row in update.add:
            target = (row.target, row.target_port)
            if row.proto == "tcp":
                self._streams[row.ip, row.port] = target
            else:
                self._drop(row)
                self._datagrams[row.ip, row.port] = DatagramRelay(socket.socket(fileno=next(sockets)), target)
        self._channel.send(msgspec.msgpack.encode(Updated(update.seq)))

    def _drop(self, row: Relay) -> None:
        if row.proto == "tcp":
            self._streams.pop((row.ip, row.port), None)
        elif (gone := self._datagrams.pop((row.ip, row.port), None)) is not None:
            gone.close()

    def _lookup(self, ip: str, port: int) -> tuple[str, int] | None:
        return self._streams.get((ip, port)) or self._streams.get((_ANY, port))


async def _serve(control: int, listener: int) -> None:
    await RelayProcess(socket.socket(fileno=control), socket.socket(fileno=listener)).run()


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of `python -m netloom.dataplane.relay`."""
    parser = argparse.ArgumentParser(prog="netloom relay")
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--listener-fd", type=int, required=True)
    options = parser.parse_args(argv)
    os.set_inheritable(options.control_fd, False)
    os.set_inheritable(options.listener_fd, False)
    raise_descriptor_limit()
    asyncio.run(_serve(options.control_fd, options.listener_fd))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
