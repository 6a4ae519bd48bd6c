"""What a daemon and the data plane say to each other, in MessagePack, each message an array that begins with its tag.

The data plane greets with `Welcome`; the daemon answers with `Hello` and then sends requests, as many at a time as it
likes. Each is answered once, under its number, in any order. VERSION changes when an old partner would misunderstand.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct

from netloom.kernel.learnt import Learnt
from netloom.model.names import DataPlaneState, DnsSight, HeldPort, NameEntry, Relay, Resolver

SOCKET = "dataplane.sock"  # in the run directory
VERSION = 4
HANDOVER = 1  # the same for what a successor is given


class _Message(Struct, frozen=True, array_like=True, tag=True):
    """Common to all."""


class Welcome(_Message, frozen=True, array_like=True, tag=True):
    """`incarnation` is random, and stays the same through a hand-over: the state is the one that a daemon knows.

    `program` is netloom's version: after an upgrade the process is replaced, the protocol changed or not.
    """

    version: int
    pid: int
    incarnation: str
    program: str = ""


class Hello(_Message, frozen=True, array_like=True, tag=True):
    """`role`: `daemon`, of which there is one at a time, or `successor`, which takes everything over.

    `version` is VERSION from a daemon, HANDOVER from a successor.
    """

    version: int
    role: str


class OpenSandbox(_Message, frozen=True, array_like=True, tag=True):
    """Comes with one descriptor: the network namespace."""

    seq: int
    sandbox: str
    pid: int
    resolver: Resolver


class BindSandbox(_Message, frozen=True, array_like=True, tag=True):
    seq: int
    sandbox: str
    pid: int


class SetResolver(_Message, frozen=True, array_like=True, tag=True):
    seq: int
    sandbox: str
    resolver: Resolver


class CloseSandbox(_Message, frozen=True, array_like=True, tag=True):
    seq: int
    sandbox: str


class PutNames(_Message, frozen=True, array_like=True, tag=True):
    seq: int
    entry: NameEntry


class DropNames(_Message, frozen=True, array_like=True, tag=True):
    seq: int
    endpoint: str


class Hold(_Message, frozen=True, array_like=True, tag=True):
    seq: int
    ports: tuple[HeldPort, ...]


class RelayPorts(_Message, frozen=True, array_like=True, tag=True):
    seq: int
    relays: tuple[Relay, ...]


class Release(_Message, frozen=True, array_like=True, tag=True):
    """Without `ports` (protocol, address, number) every one of the owner's."""

    seq: int
    owner: str
    ports: tuple[tuple[str, str, int], ...] = ()


class GetState(_Message, frozen=True, array_like=True, tag=True):
    seq: int


class GetSight(_Message, frozen=True, array_like=True, tag=True):
    """`after`: number of the last query that was seen; None: only counts are wanted."""

    seq: int
    network: str
    after: int | None = None


class Stop(_Message, frozen=True, array_like=True, tag=True):
    """Close everything and end: the daemon is being uninstalled, or a test is over."""

    seq: int


class Done(_Message, frozen=True, array_like=True, tag=True):
    seq: int


class Refused(_Message, frozen=True, array_like=True, tag=True):
    """`kind` is the name of a class of model.errors."""

    seq: int
    kind: str
    sentence: str
    remedy: str


class StateIs(_Message, frozen=True, array_like=True, tag=True):
    seq: int
    state: DataPlaneState


class SightIs(_Message, frozen=True, array_like=True, tag=True):
    seq: int
    sight: DnsSight


class HandRelays(_Message, frozen=True, array_like=True, tag=True):
    """To a successor, first of all: with the relay's listener, if there is one."""

    relays: tuple[Relay, ...]


class HandStreams(_Message, frozen=True, array_like=True, tag=True):
    """Before the first sandbox, if connections were ever made: with both sockets of their namespace."""


class HandSandbox(_Message, frozen=True, array_like=True, tag=True):
    """As earlier versions opened it: with its UDP and TCP socket and, where the process is known, its pidfd."""

    sandbox: str
    pid: int
    resolver: Resolver


class HandPackets(_Message, frozen=True, array_like=True, tag=True):
    """With tap, raw socket and guard; if connections were ever made, both their sockets; the pidfd last.

    Without a pidfd where the process is not known. `number` is the sandbox's among the streams.
    """

    sandbox: str
    pid: int
    resolver: Resolver
    number: int
    connected: bool


class HandLearnt(_Message, frozen=True, array_like=True, tag=True):
    """After its sandbox: what the firewall was told of names, and until when (seconds of the monotonic clock)."""

    sandbox: str
    learnt: tuple[tuple[Learnt, float], ...]


class HandNames(_Message, frozen=True, array_like=True, tag=True):
    entries: tuple[NameEntry, ...]


class HandPort(_Message, frozen=True, array_like=True, tag=True):
    """With its socket, if it has one; `pending`: it is yet to get one."""

    port: HeldPort
    pending: bool


class HandControl(_Message, frozen=True, array_like=True, tag=True):
    """Last of all: with the control listener and the lock."""

    incarnation: str


class Taken(_Message, frozen=True, array_like=True, tag=True):
    """From the successor: it serves; the predecessor may go."""


Request: TypeAlias = (
    OpenSandbox
    | BindSandbox
    | SetResolver
    | CloseSandbox
    | PutNames
    | DropNames
    | Hold
    | RelayPorts
    | Release
    | GetState
    | GetSight
    | Stop
)
Reply: TypeAlias = Done | Refused | StateIs | SightIs
Handed: TypeAlias = (
    HandRelays | HandStreams | HandSandbox | HandPackets | HandLearnt | HandNames | HandPort | HandControl
)

encode = msgspec.msgpack.Encoder().encode
decode_to_plane = msgspec.msgpack.Decoder(Hello | Taken | Request).decode
decode_to_daemon = msgspec.msgpack.Decoder(Welcome | Reply).decode
decode_to_successor = msgspec.msgpack.Decoder(Welcome | Refused | Handed).decode
