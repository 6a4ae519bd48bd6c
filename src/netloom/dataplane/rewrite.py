"""Port 53 of 127.0.0.11 without taking it: a stateless rewrite inside the sandbox, as one nfnetlink transaction.

    table ip netloom_dns {
        chain answers { type filter hook output priority -400
            ip saddr 127.0.0.11 udp sport UDP udp sport set 53
            ip saddr 127.0.0.11 tcp sport TCP tcp sport set 53 }
        chain queries { type filter hook output priority 400
            ip daddr 127.0.0.11 udp dport 53 udp dport set UDP
            ip daddr 127.0.0.11 tcp dport 53 tcp dport set TCP }
    }

Answers are changed before conntrack (-200) and the container's own rules, queries after them: both see port 53 only,
so `ct state invalid drop` and an output chain that allows port 53 alone let them through. Source of the numbers:
linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import socket
import struct

from netloom.netlink.message import CREATE, ERROR, EXCL, Message, attr, nest, replies, text, verdict
from netloom.netlink.nft import transaction

TABLE = "netloom_dns"
ADDRESS = "127.0.0.11"

_NETFILTER = 12  # NETLINK_NETFILTER
_SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE = (_SUBSYSTEM | n for n in (0, 2, 3, 6))
_APPEND = 0x800  # NLM_F_APPEND
_INFO = struct.pack("!BBH", socket.AF_INET, 0, 0)  # struct nfgenmsg
_OUTPUT = 3  # NF_INET_LOCAL_OUT
_NETWORK, _TRANSPORT = 1, 2  # NFT_PAYLOAD_…
_SADDR, _DADDR = 12, 16  # offsets in the IPv4 header
_SPORT, _DPORT = 0, 2  # offsets in the UDP and the TCP header
_UDP, _TCP = socket.IPPROTO_UDP, socket.IPPROTO_TCP
_CHECKSUM = {_UDP: 6, _TCP: 16}  # offsets of the checksum
_L4PROTO = 16  # NFT_META_L4PROTO
_DNS = struct.pack("!H", 53)


def batch(udp: int, tcp: int, *, replace: bool = False) -> list[Message]:
    """The table for these two hidden ports. Without `replace` an existing table of this name makes it fail."""
    rules = []
    for proto, port in ((_UDP, struct.pack("!H", udp)), (_TCP, struct.pack("!H", tcp))):
        rules.append(_rule("answers", _ANSWER_HEAD[proto] + _port_is(_SPORT, port) + _ANSWER_TAIL[proto]))
        rules.append(_rule("queries", _QUERY_HEAD[proto] + _set_port(_DPORT, port, proto)))
    if replace:
        return [_table(_NEWTABLE, CREATE), _table(_DELTABLE, 0), _table(_NEWTABLE, CREATE), *_CHAINS, *rules]
    return [_table(_NEWTABLE, CREATE | EXCL), *_CHAINS, *rules]


def install(udp: int, tcp: int) -> None:
    """Load the table into the calling thread's network namespace, in place of an older one. Raises OSError.

    Replacing costs a grace period of the kernel (15 ms), the first time 0.1 ms.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER) as sock:
        sock.settimeout(2)
        try:
            _talk(sock, batch(udp, tcp))
        except FileExistsError:
            _talk(sock, batch(udp, tcp, replace=True))


def _talk(sock: socket.socket, messages: list[Message]) -> None:
    sock.send(transaction(messages, 1))
    while True:
        for reply in replies(sock.recv(65536)):
            if reply.type != ERROR:
                continue
            said = verdict(reply)
            if said.errno:
                raise OSError(said.errno, f"nftables refused the DNS rewrite: {said.text or said.errno}")
            if reply.sequence == 1 + len(messages):
                return


def _be32(value: int) -> bytes:
    return struct.pack("!i", value)


def _table(kind: int, flags: int) -> Message:
    return Message(kind, flags, _INFO + attr(1, text(TABLE)))


def _chain(name: str, priority: int) -> Message:
    hook = nest(4, attr(1, _be32(_OUTPUT)), attr(2, _be32(priority)))
    body = _INFO + attr(1, text(TABLE)) + attr(3, text(name)) + hook + attr(7, text("filter"))
    return Message(_NEWCHAIN, CREATE, body)


def _rule(chain: str, expressions: bytes) -> Message:
    body = _INFO + attr(1, text(TABLE)) + attr(2, text(chain)) + nest(4, expressions)
    return Message(_NEWRULE, CREATE | _APPEND, body)


def _expression(name: str, *parts: bytes) -> bytes:
    return nest(1, attr(1, text(name)), nest(2, *parts))


def _is(value: bytes) -> bytes:
    """cmp: register 1 equals the value."""
    return _expression("cmp", attr(1, _be32(1)), attr(2, _be32(0)), nest(3, attr(1, value)))


def _load(base: int, offset: int, size: int) -> bytes:
    """payload: into register 1."""
    return _expression("payload", attr(1, _be32(1)), attr(2, _be32(base)), attr(3, _be32(offset)), attr(4, _be32(size)))


def _port_is(offset: int, port: bytes) -> bytes:
    return _load(_TRANSPORT, offset, 2) + _is(port)


def _set_port(offset: int, port: bytes, proto: int) -> bytes:
    """immediate into register 1, payload from it, the transport checksum set right (NFT_PAYLOAD_CSUM_INET)."""
    return _expression("immediate", attr(1, _be32(1)), nest(2, attr(1, port))) + _expression(
        "payload",
        attr(5, _be32(1)),
        attr(2, _be32(_TRANSPORT)),
        attr(3, _be32(offset)),
        attr(4, _be32(2)),
        attr(6, _be32(1)),
        attr(7, _be32(_CHECKSUM[proto])),
        attr(8, _be32(0)),
    )


def _selects(offset: int, proto: int) -> bytes:
    """Our address at this offset, and the protocol."""
    return (
        _load(_NETWORK, offset, 4)
        + _is(socket.inet_aton(ADDRESS))
        + _expression("meta", attr(2, _be32(_L4PROTO)), attr(1, _be32(1)))
        + _is(bytes([proto]))
    )


_CHAINS = [_chain("answers", -400), _chain("queries", 400)]
_ANSWER_HEAD = {proto: _selects(_SADDR, proto) for proto in _CHECKSUM}
_ANSWER_TAIL = {proto: _set_port(_SPORT, _DNS, proto) for proto in _CHECKSUM}
_QUERY_HEAD = {proto: _selects(_DADDR, proto) + _port_is(_DPORT, _DNS) for proto in _CHECKSUM}
