"""Port 53 of 127.0.0.11 without taking it: a protocol of its own inside the sandbox, as one nfnetlink transaction.

    table ip netloom_dns {
        flags owner,persist
        chain queries { type filter hook input priority 400
            ip daddr != 127.0.0.11 accept
            ip protocol 253 drop
            iif lo udp dport 53 ip ttl set 17 ip protocol set 253
            iif lo tcp dport 53 ip ttl set 6 ip protocol set 253 }
    }

A query becomes a packet of protocol 253 (RFC 3692: for experiments), which a raw socket reads: UDP and TCP do not see
it, so no server of the container does, and no error tells the client that nobody listens. What it was is in its TTL,
which has done its work. The container's own rules come before, and see port 53.

The table belongs to the netlink socket that loaded it: `nft flush ruleset` inside passes it over. Whoever changes its
content must give it another name: one of this name is taken over as it is. Packet sockets
would do without it, but closing one costs a grace period of the kernel (15 ms), and so would the end of the process
for each sandbox. Sources of the numbers: linux/netfilter/nf_tables.h, linux/filter.h, linux/if_packet.h.
"""

from __future__ import annotations

import errno
import socket
import struct

from netloom.kernel import packet_filter
from netloom.kernel.packet_filter import Instruction
from netloom.netlink.message import CREATE, ERROR, Message, attr, frame, nest, replies, text, verdict
from netloom.netlink.nft import get_table, transaction

TABLE = "netloom_dns"
ADDRESS = "127.0.0.11"
PROTOCOL = 253  # of a query inside
LOOPBACK = 1  # the index of lo, in every namespace

_NETFILTER = 12  # NETLINK_NETFILTER
_SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE = (_SUBSYSTEM | n for n in (0, 2, 3, 6))
_APPEND = 0x800  # NLM_F_APPEND
_INFO = struct.pack("!BBH", socket.AF_INET, 0, 0)  # struct nfgenmsg
_OWNER, _PERSIST = 2, 4  # NFT_TABLE_F_…; without PERSIST (Linux 6.9) closing the socket costs a grace period
_INPUT = 1  # NF_INET_LOCAL_IN
_DROP, _ACCEPT = 0, 1  # NF_…
_NETWORK, _TRANSPORT = 1, 2  # NFT_PAYLOAD_…
_TTL, _DADDR, _DPORT = 8, 16, 2  # offsets in the IPv4 header, and in the UDP and the TCP header
_IIF, _L4PROTO = 4, 16  # NFT_META_…
_UDP, _TCP = socket.IPPROTO_UDP, socket.IPPROTO_TCP

_SOL_PACKET = 263
_IGNORE_OUTGOING = 23  # PACKET_IGNORE_OUTGOING, Linux 4.20
_ETH_P_ALL = 3
_ETH_P_IP = 0x0800
_AD_PROTOCOL, _AD_PKTTYPE = 0xFFFFF000, 0xFFFFF004  # SKF_AD_OFF + …
_LD_W, _LD_B, _LD_H_X, _LDX_IHL = 0x20, 0x30, 0x48, 0xB1
_AND, _JEQ, _RET = 0x54, 0x15, 0x06
_HOST = 0  # PACKET_HOST
_OUT = 255


def guard() -> socket.socket:
    """Load the table into the calling thread's network namespace; it cannot be flushed while the socket is open.

    One that a data plane left when it was killed is taken over. Another one is replaced, which costs a grace period
    (15 ms). Raises OSError.
    """
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
    try:
        sock.settimeout(2)
        if not _stands(sock):
            before = []
        elif _done(sock, [_table(_NEWTABLE, CREATE, _OWNER | _PERSIST)], 10):
            return sock  # the kernel allows it for a lasting table that nobody owns: one of ours
        else:
            before = [_table(_NEWTABLE, CREATE), _table(_DELTABLE, 0)]
        if not _done(sock, [*before, _table(_NEWTABLE, CREATE, _OWNER | _PERSIST), *_CONTENT], 20):
            _talk(sock, [*before, _table(_NEWTABLE, CREATE), *_CONTENT], 40)  # before Linux 6.9: it can be flushed
    except BaseException:
        sock.close()
        raise
    return sock


def _stands(sock: socket.socket) -> bool:
    """Is there a table of this name? Looked at first: a transaction that fails costs a grace period too."""
    sock.send(frame([get_table(socket.AF_INET, TABLE)], 1))
    while True:
        for reply in replies(sock.recv(65536)):
            if reply.type == ERROR:
                return verdict(reply).errno == 0


def _done(sock: socket.socket, messages: list[Message], first: int) -> bool:
    """False: the kernel does not support it. Raises OSError."""
    try:
        _talk(sock, messages, first)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return False
    return True


def tap(program: list[Instruction]) -> socket.socket:
    """A socket for what arrives on lo of the calling thread's namespace and the program lets through. Raises OSError.

    It reads whole IP packets, and never blocks.
    """
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    try:
        sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        packet_filter.attach(sock, program)
        sock.bind(("lo", _ETH_P_ALL))
    except BaseException:
        sock.close()
        raise
    return sock


def _program(*checks: Instruction) -> list[Instruction]:
    """Instructions one after another, then the packet is let through; a jump of _OUT leads to the end that drops it."""
    jumps = [
        (code, *(len(checks) - place if jump == _OUT else jump for jump in (then, otherwise)), value)
        for place, (code, then, otherwise, value) in enumerate(checks)
    ]
    return [*jumps, (_RET, 0, 0, 0xFFFF), (_RET, 0, 0, 0)]  # type: ignore[list-item]


def _talk(sock: socket.socket, messages: list[Message], first: int) -> None:
    """Answers to a transaction before this one may still be there: its numbers were lower."""
    sock.send(transaction(messages, first))
    while True:
        for reply in replies(sock.recv(65536)):
            if reply.type != ERROR or reply.sequence < first:
                continue
            said = verdict(reply)
            if said.errno:
                raise OSError(said.errno, f"nftables refused the table {TABLE}: {said.text or said.errno}")
            if reply.sequence == first + len(messages):
                return


def _be32(value: int) -> bytes:
    return struct.pack("!i", value)


def _table(kind: int, flags: int, table_flags: int = 0) -> Message:
    return Message(kind, flags, _INFO + attr(1, text(TABLE)) + (attr(2, _be32(table_flags)) if table_flags else b""))


def _chain(name: str, hook: int, priority: int) -> Message:
    where = nest(4, attr(1, _be32(hook)), attr(2, _be32(priority)))
    body = _INFO + attr(1, text(TABLE)) + attr(3, text(name)) + where + attr(7, text("filter"))
    return Message(_NEWCHAIN, CREATE, body)


def _rule(chain: str, expressions: bytes) -> Message:
    body = _INFO + attr(1, text(TABLE)) + attr(2, text(chain)) + nest(4, expressions)
    return Message(_NEWRULE, CREATE | _APPEND, body)


def _expression(name: str, *parts: bytes) -> bytes:
    return nest(1, attr(1, text(name)), nest(2, *parts))


def _is(value: bytes, *, differs: bool = False) -> bytes:
    """cmp: register 1 equals the value, or does not."""
    return _expression("cmp", attr(1, _be32(1)), attr(2, _be32(int(differs))), nest(3, attr(1, value)))


def _load(base: int, offset: int, size: int) -> bytes:
    """payload: into register 1."""
    return _expression("payload", attr(1, _be32(1)), attr(2, _be32(base)), attr(3, _be32(offset)), attr(4, _be32(size)))


def _meta(key: int) -> bytes:
    """meta: into register 1."""
    return _expression("meta", attr(2, _be32(key)), attr(1, _be32(1)))


def _verdict(code: int) -> bytes:
    return _expression("immediate", attr(1, _be32(0)), nest(2, nest(2, attr(1, _be32(code)))))


def _protocol_is(number: int) -> bytes:
    return _meta(_L4PROTO) + _is(bytes([number]))


def _captured(proto: int) -> bytes:
    """Sets TTL and protocol at once. A packet without a whole UDP header (the load fails) is left to the kernel."""
    here = _meta(_IIF) + _is(struct.pack("=I", LOOPBACK)) + _protocol_is(proto)
    port = _load(_TRANSPORT, 4, 4) + _load(_TRANSPORT, _DPORT, 2) + _is(struct.pack("!H", 53))
    new = _expression("immediate", attr(1, _be32(1)), nest(2, attr(1, bytes([proto, PROTOCOL]))))
    target = attr(5, _be32(1)) + attr(2, _be32(_NETWORK)) + attr(3, _be32(_TTL)) + attr(4, _be32(2))
    return here + port + new + _expression("payload", target)


_RULES = (
    _load(_NETWORK, _DADDR, 4) + _is(socket.inet_aton(ADDRESS), differs=True) + _verdict(_ACCEPT),
    _protocol_is(PROTOCOL) + _verdict(_DROP),
    _captured(_UDP),
    _captured(_TCP),
)
_CONTENT = [_chain("queries", _INPUT, 400), *(_rule("queries", one) for one in _RULES)]


# TCP from port 53 of any address in 240.0.0.0/4, where connections end (`streams`), as it comes in.
FROM_STREAMS = _program(
    (_LD_W, 0, 0, _AD_PROTOCOL),
    (_JEQ, 0, _OUT, _ETH_P_IP),
    (_LD_W, 0, 0, _AD_PKTTYPE),
    (_JEQ, 0, _OUT, _HOST),
    (_LD_B, 0, 0, 9),
    (_JEQ, 0, _OUT, _TCP),
    (_LD_B, 0, 0, 12),
    (_AND, 0, 0, 0xF0),
    (_JEQ, 0, _OUT, 0xF0),
    (_LDX_IHL, 0, 0, 0),
    (_LD_H_X, 0, 0, 0),
    (_JEQ, 0, _OUT, 53),
)
