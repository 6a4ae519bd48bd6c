"""One daemon in one network namespace: two would each prune what the other has put up."""

from __future__ import annotations

import socket

from netloom.model.errors import Conflict

_NAME = "\0netloom-daemon"  # abstract names belong to the network namespace: unix(7)


class HostClaim:
    """Held by an abstract socket, which the kernel closes whatever becomes of us."""

    def __init__(self) -> None:
        """Raises Conflict when a living daemon has the namespace."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.bind(_NAME)
        except OSError as error:
            self._socket.close()
            raise Conflict(
                "another netloom daemon works in this network namespace",
                remedy="stop it first, or start this one in a namespace of its own (ip netns exec)",
            ) from error

    def release(self) -> None:
        """Let another daemon have it."""
        self._socket.close()
