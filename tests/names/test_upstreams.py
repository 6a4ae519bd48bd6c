"""Servers outside that are dead, slow, lying or truncating: the right answer, soon, and sooner the next time."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from netloom.dns import message as m
from netloom.dns.exchange import DEADLINE
from netloom.dns.message import Message, Question
from netloom.dns.wire import encode_name
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns, eventually
from netloom.testing.name_servers import Manner, NameServer

pytestmark = pytest.mark.root

FIRST, SECOND = "127.0.0.2", "127.0.0.3"


@pytest.fixture(scope="module")
def inside(daemon: Daemon) -> Iterator[Netns]:
    """The namespace of a container whose resolver is told of each change of the host's servers."""
    daemon.docker("network", "create", "up")
    daemon.docker("run", "-d", "--name", "up-ask", "--network", "up", "host", "sleep", "600")
    with Netns.of(int(daemon.inspect("up-ask")["State"]["Pid"])) as inside:
        yield inside
    daemon.docker("rm", "-f", "up-ask")
    daemon.docker("network", "rm", "up")


@pytest.fixture
def ask(daemon: Daemon, host: Host, inside: Netns) -> Iterator[Callable[..., list[str]]]:
    """Asks by UDP, or TCP; the addresses. Before the first question, two servers of the host's are told."""
    before = daemon.resolv_conf.read_text()
    daemon.resolv_conf.write_text(f"nameserver {FIRST}\nnameserver {SECOND}\n")
    marks = iter(range(1000))
    with NameServer(host, FIRST) as mark:  # wait until the new servers are in use
        eventually(lambda: _ask(inside, f"mark{next(marks)}.test") and mark.asked)

    yield partial(_ask, inside)
    daemon.resolv_conf.write_text(before)


def _ask(inside: Netns, name: str, *, tcp: bool = False) -> list[str]:
    query = m.encode(Message(7, m.RD, (Question(encode_name(name), 1),)))
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with inside.call(socket.socket, socket.AF_INET, kind) as sock:
        sock.settimeout(30)
        sock.connect(("127.0.0.11", 53))
        if tcp:
            sock.sendall(struct.pack("!H", len(query)) + query)
            (size,) = struct.unpack("!H", sock.recv(2, socket.MSG_WAITALL))
            answer = m.decode(sock.recv(size, socket.MSG_WAITALL))
        else:
            sock.send(query)
            answer = m.decode(sock.recv(4096))
    assert (answer.id, answer.questions[0].name) == (7, encode_name(name))
    return [str(record.data) for record in answer.answers]


@pytest.mark.parametrize("manner", ["silent", "slow", None])
def test_a_server_that_does_not_serve_costs_once(
    host: Host, ask: Callable[..., list[str]], manner: Manner | None
) -> None:
    """None: nobody listens there. Whom it does not ask it does not wait for."""
    with NameServer(host, SECOND, says="192.0.2.2"):
        if manner is None:
            assert ask("a-none.test") == ["192.0.2.2"]
            return
        with NameServer(host, FIRST, manner=manner) as ill:
            assert ask(f"a-{manner}.test") == ["192.0.2.2"]
            assert len(ill.asked) == 1
            numbers = iter(range(1000))

            def costs_nothing() -> bool:
                """On a busy machine its pause may end meanwhile; the next one is longer."""
                before = len(ill.asked)
                for _ in range(5):
                    assert ask(f"b{next(numbers)}-{manner}.test") == ["192.0.2.2"]
                return len(ill.asked) == before

            eventually(costs_nothing)
            ill.manner = "well"  # it is tried again, nobody waiting for it, and is then the first again
            eventually(lambda: ask(f"c{next(numbers)}-{manner}.test") == ["192.0.2.1"], timeout=60)


def test_a_liar_is_not_believed(daemon: Daemon, host: Host, inside: Netns, ask: Callable[..., list[str]]) -> None:
    with NameServer(host, FIRST, manner="lying") as server:
        assert ask("lied.test") == ["192.0.2.1"]
        # what it said beside the point is not remembered
        server.says = "192.0.2.44"
        assert ask("bank.test") == ["192.0.2.44"]
        assert server.asked == ["lied.test.", "bank.test."]
        for number in range(8):
            ask(f"r{number}.test")
    assert len({ident for ident, _ in server.seen}) > 8
    assert len({port for _, port in server.seen}) > 8


def test_a_truncating_server_is_asked_by_tcp(host: Host, ask: Callable[..., list[str]]) -> None:
    with NameServer(host, FIRST, manner="truncating") as server:
        assert ask("cut.test") == ["192.0.2.1"]
        assert ask("cut.test", tcp=True) == ["192.0.2.1"]  # from the cache
        assert ask("by-tcp.test", tcp=True) == ["192.0.2.1"]
        assert server.asked == ["cut.test."]


def test_answers_are_kept_for_as_long_as_they_say(host: Host, ask: Callable[..., list[str]]) -> None:
    with NameServer(host, FIRST, ttl=3) as server:
        assert ask("short.test") == ask("SHORT.test") == ["192.0.2.1"]
        server.says = "192.0.2.9"
        eventually(lambda: ask("short.test") == ["192.0.2.9"])
        assert server.asked.count("short.test.") == 2
        assert ask("nosuch") == ask("nosuch") == []
        assert server.asked.count("nosuch.") == 1  # RFC 2308


def test_same_questions_at_once_are_one(host: Host, inside: Netns, ask: Callable[..., object]) -> None:
    with NameServer(host, FIRST, manner="slow") as server, NameServer(host, SECOND) as second:
        query = m.encode(Message(7, m.RD, (Question(encode_name("many.test"), 1),)))
        socks = [inside.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
        for sock in socks:
            sock.settimeout(30)
            sock.connect(("127.0.0.11", 53))
            sock.send(query)
        for sock in socks:
            assert m.decode(sock.recv(4096)).answers
            sock.close()
        assert (len(server.asked), len(second.asked)) == (1, 1)


def test_a_flood_of_one_container_keeps_no_other_waiting(
    daemon: Daemon, host: Host, inside: Netns, ask: Callable[..., list[str]]
) -> None:
    """One asks for names that nobody answers, sends half a query by TCP and rubbish; others do not notice."""
    daemon.docker("run", "-d", "--name", "up-flood", "--network", "up", "host", "sleep", "600")
    try:
        with (
            Netns.of(int(daemon.inspect("up-flood")["State"]["Pid"])) as hostile,
            NameServer(host, FIRST, manner="silent"),
        ):
            open_ones = []
            for _ in range(100):
                sock = hostile.call(socket.socket, socket.AF_INET, socket.SOCK_STREAM)
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.11", 53))
                open_ones.append(sock)
            with hostile.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(("127.0.0.11", 53))
                took = []
                for number in range(20):
                    for part in range(100):
                        name = encode_name(f"f{number}-{part}.test")
                        sock.send(m.encode(Message(part, m.RD, (Question(name, 1),))))
                        sock.send(b"\0" * 20)
                    start = time.monotonic()
                    assert ask("up-ask")
                    took.append(time.monotonic() - start)
            for one in open_ones:
                one.close()
            assert ask("up-ask", tcp=True)
            assert sorted(took)[10] < DEADLINE / 2  # no turn of the flood's was waited for
    finally:
        daemon.docker("rm", "-f", "up-flood")
