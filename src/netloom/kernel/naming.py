"""Names of our links that somebody has changed."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from netloom.kernel import observe
from netloom.kernel.socket import NetlinkSocket
from netloom.netlink import link


def restore(socket: NetlinkSocket, meant: Mapping[int, tuple[str, str]]) -> list[str]:
    """Call links as they are meant to be called, by index: name and MAC; the names that had to be given back.

    The index alone could be another's: an interface that came home from a container keeps the one that it had there.
    A name that somebody else has by now stays his.
    """
    restored = []
    for one in observe.links(socket):
        name, mac = meant.get(one.ifindex, (one.name, ""))
        if one.name == name or one.mac != mac:
            continue
        failure = socket.request([link.rename(one.ifindex, name)]).get(0)
        if failure is not None and failure.errno == errno.EBUSY:  # before Linux 6.3, while it is up
            again = [link.down(one.ifindex), link.rename(one.ifindex, name), link.up(one.ifindex)]
            failure = socket.request(again).get(1)
        if failure is None:
            restored.append(name)
    return restored
