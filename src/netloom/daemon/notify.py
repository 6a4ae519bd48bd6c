"""Telling systemd where the daemon stands: sd_notify(3), without its library."""

from __future__ import annotations

import os
import socket


def notify(*lines: str) -> bool:
    """Send assignments such as READY=1 to the service manager. False, and nothing sent, when there is none.

    Raises OSError when $NOTIFY_SOCKET names a socket that does not take it.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.connect(address)
        sender.sendall("\n".join(lines).encode())
    return True


def ready(status: str) -> bool:
    """The API answers. `status` is what systemctl shows."""
    return notify("READY=1", f"STATUS={status}")


def stopping() -> bool:
    """A clean stop has begun."""
    return notify("STOPPING=1", "STATUS=stopping")
