"""Settings of interfaces that the kernel tells of. Source: linux/netconf.h."""

from __future__ import annotations

import struct

from netloom.netlink.message import Malformed, attributes

NEWNETCONF = 80

_HEADER = 4  # struct netconfmsg: the family, padded
_IFINDEX, _FORWARDING = 1, 2  # NETCONFA_…
_ALL, _DEFAULT = -1, -2  # NETCONFA_IFINDEX_…
_INDEX = struct.Struct("=i")


def forwards_host(body: bytes) -> bool:
    """Is forwarding told of, for all interfaces or for those to come? Raises Malformed."""
    if len(body) < _HEADER:
        raise Malformed("netlink: netconf message too short")
    found = attributes(body, _HEADER)
    index = found.get(_IFINDEX, b"")
    return _FORWARDING in found and len(index) == _INDEX.size and _INDEX.unpack(index)[0] in (_ALL, _DEFAULT)
