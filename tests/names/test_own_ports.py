"""127.0.0.11 takes no port of a container, and asks nothing of its firewall."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Netns

pytestmark = pytest.mark.root

Box = Callable[..., str]


@pytest.fixture(scope="module")
def red(daemon: Daemon) -> Iterator[str]:
    daemon.docker("network", "create", "red")
    yield "red"
    daemon.docker("network", "rm", "red")


@pytest.fixture
def check_names(daemon: Daemon, red: str) -> Callable[[str], None]:
    """In this container a name of ours and one of the outside resolve by UDP and by TCP."""

    def check(name: str) -> None:
        web = daemon.inspect("web")["NetworkSettings"]["Networks"][red]["IPAddress"]
        for words in ((), ("+tcp",)):
            for asked, said in (("web", web), ("www.test", "192.0.2.1")):
                answer = daemon.docker("exec", name, "dig", "+short", "+tries=1", "+time=10", *words, asked)
                assert answer.split() == [said], (words, asked)

    return check


@pytest.fixture
def inside(daemon: Daemon) -> Callable[[str], Netns]:
    """The network namespace of a container."""
    return lambda name: Netns.of(int(daemon.inspect(name)["State"]["Pid"]))


NFTABLES = """
table inet own {
    chain in {
        type filter hook input priority 0; policy drop;
        ct state invalid drop
        ct state established accept
        iif lo accept
    }
    chain out {
        type filter hook output priority 0; policy drop;
        ct state invalid drop
        udp dport 53 accept
        tcp dport 53 accept
        ct state established accept
    }
}"""
IPTABLES = """*filter
:INPUT DROP
:OUTPUT DROP
-A INPUT -i lo -j ACCEPT
-A INPUT -m state --state ESTABLISHED -j ACCEPT
-A OUTPUT -m state --state INVALID -j DROP
-A OUTPUT -p udp --dport 53 -j ACCEPT
-A OUTPUT -p tcp --dport 53 -j ACCEPT
-A OUTPUT -m state --state ESTABLISHED -j ACCEPT
COMMIT
"""


@pytest.mark.parametrize(("words", "rules"), [(("nft", "-f", "-"), NFTABLES), (("iptables-nft-restore",), IPTABLES)])
def test_a_firewall_of_the_containers_own_lets_names_through(
    box: Box,
    red: str,
    inside: Callable[[str], Netns],
    check_names: Callable[[str], None],
    words: tuple[str, ...],
    rules: str,
) -> None:
    box("web", "--network", red)
    box("strict", "--network", red)
    with inside("strict") as strict:
        strict.run(*words, stdin=rules)
    check_names("strict")


def test_a_container_flushes_its_ruleset(
    daemon: Daemon, box: Box, red: str, check_names: Callable[[str], None]
) -> None:
    box("web", "--network", red)
    box("admin", "--network", red, "--cap-add", "NET_ADMIN")
    daemon.docker("exec", "admin", "nft", "flush", "ruleset")
    check_names("admin")
    daemon.docker("restart", "-t", "0", "admin")
    check_names("admin")


# Each port on all addresses, of IPv4 and of both families, one after another; port 53 is kept to the end. Those from
# which clients ask are taken before anybody asks: a client's own port is not free.
CLIENTS = range(1000, 1100)
BINDS = """
import socket, sys
families, types = (socket.AF_INET, socket.AF_INET6), (socket.SOCK_DGRAM, socket.SOCK_STREAM)
kinds = [(family, kind) for family in families for kind in types]
def bound(family, kind, port):
    s = socket.socket(family, kind)
    try:
        s.bind(("0.0.0.0" if family == socket.AF_INET else "::", port))
        if kind == socket.SOCK_STREAM: s.listen()
    except OSError as error:
        print(family.name, kind.name, port, error, flush=True)
    return s
clients = range(1000, 1100)
for family, kind in kinds:
    for port in clients: bound(family, kind, port).close()
kept = [bound(socket.AF_INET, kind, 53) for kind in types]
print("ready", flush=True)
sys.stdin.readline()
for family, kind in kinds:
    for port in range(1, 65536):
        if port != 53 and port not in clients: bound(family, kind, port).close()
print("done", flush=True)
sys.stdin.readline()
"""


def test_every_port_is_the_containers(
    box: Box, red: str, inside: Callable[[str], Netns], check_names: Callable[[str], None]
) -> None:
    box("web", "--network", red)
    box("ports", "--network", red)
    with inside("ports") as ports:
        for name in ("all", "default"):
            ports.sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "0")
        ports.sysctl("net/ipv4/ip_local_port_range", f"{CLIENTS.start} {CLIENTS.stop - 1}")
        pipe = subprocess.PIPE
        program = ports.popen(sys.executable, "-c", BINDS, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"  # else it says what it could not bind
        check_names("ports")
        program.stdin.write("go\n")
        program.stdin.flush()
        for _ in range(5):
            check_names("ports")  # while the program takes one port after another
        assert program.stdout.readline() == "done\n"
        check_names("ports")
        assert ports.run("ss", "-Hlntu", "sport", "!=", "53").strip() == ""
