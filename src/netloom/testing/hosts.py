"""Hosts for tests: fresh network namespaces, held by a file descriptor, gone with it.

    with Host(uplink=True) as host:
        host.run("ip", "link")                       # in the host's namespace
        host.outside.ask("198.51.100.2", 80)         # from beyond its uplink
        with host.serve("0.0.0.0", 80): ...
        with Netns() as box: ...                     # a container-like namespace

A host's uplink is `eth0`, a port of the bridge `wan` in the namespace `outside`:

    host eth0  198.51.100.2/24  2001:db8:ff::2/64   →  outside wan  198.51.100.1/24  2001:db8:ff::1/64

with default routes towards `outside`. `Host(outside=first.outside, number=3)` joins the same underlay as .3.
The machine's own namespace is never touched; nothing has a name that two tests could share.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar

from netloom.kernel import namespace

T = TypeVar("T")
Proto = Literal["tcp", "udp"]

_AGAIN = 1.0  # seconds after which a datagram is sent again, as TCP does

OUTSIDE4, OUTSIDE6 = "198.51.100.1", "2001:db8:ff::1"


class Seen(NamedTuple):
    """What a server of `serve` answered: the client's address as it saw it, and its own tag."""

    address: str
    port: int
    tag: str


class Netns:
    """A network namespace with lo up; everything started through it ends with it.

    Use it as a context manager, or call `close` (twice is once). May be used from any thread; the caller's thread
    never changes its own namespace.
    """

    def __init__(self, fd: int | None = None) -> None:
        """A fresh one, or one that `fd` (taken over) refers to."""
        self.fd = namespace.create() if fd is None else fd
        self._children: list[subprocess.Popen[Any]] = []

    @classmethod
    def of(cls, pid: int) -> Netns:
        """The namespace of a process, for looking into a container."""
        return Netns(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was started here and let go of the namespace."""
        for child in self._children:
            child.kill()
        for child in self._children:
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream is not None:
                    stream.close()
        self._children.clear()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @property
    def netns_path(self) -> str:
        """A path that other processes may open while this one lives (`nsenter --net=…`, `ip … netns …`)."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def command(self, *argv: str) -> list[str]:
        """`argv` as run inside; it gets SIGKILL when the thread that started it ends, so nothing outlives a test."""
        return ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={self.netns_path}", "--", *argv]

    def run(self, *argv: str, check: bool = True, stdin: str | None = None, timeout: float = 30) -> str:
        """Run a command to its end; its output. A failure raises AssertionError with all that it said."""
        done = subprocess.run(
            self.command(*argv), input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a command; it is killed at `close`."""
        child = subprocess.Popen(self.command(*argv), **options)
        self._children.append(child)
        return child

    def python(self, code: str) -> str:
        """Run Python code in a process of its own inside; its output."""
        return self.run(sys.executable, "-c", code)

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in a thread that is inside. Sockets that it opens stay inside, whoever uses them."""

        def inside() -> T:
            namespace.setns(self.fd)
            return function(*args)

        return namespace.in_thread(inside)

    def sysctl(self, name: str, value: str | None = None) -> str:
        """Read a value below /proc/sys (`net/ipv4/ip_forward`), or write it; the value that stands."""
        path = Path("/proc/sys", name)

        def inside() -> str:
            if value is not None:
                path.write_text(value)
            return path.read_text().strip()

        return self.call(inside)

    def bridge_netfilter(self, on: bool) -> None:
        """Whether bridged IPv4, IPv6 and ARP frames pass the IP hooks (1 is what this kernel starts with)."""
        for name in ("iptables", "ip6tables", "arptables"):
            self.sysctl(f"net/bridge/bridge-nf-call-{name}", str(int(on)))

    @contextmanager
    def serve(self, address: str, port: int, proto: Proto = "tcp", tag: str = "") -> Iterator[int]:
        """A server inside that answers everybody with the address it sees; gives the port (`port` 0: any)."""
        with self.call(_listening, address, port, proto) as server:
            stop, stopped = socket.socketpair()
            with stop, stopped:
                thread = threading.Thread(target=_answer, args=(server, stopped, tag), name="serve")
                thread.start()
                try:
                    yield server.getsockname()[1]
                finally:
                    stop.send(b"x")
                    thread.join()

    def ask(self, address: str, port: int, proto: Proto = "tcp", *, timeout: float = 10.0, source: str = "") -> Seen:
        """Ask such a server from inside; a datagram is sent again. Raises TimeoutError, ConnectionError or OSError.

        `source` binds the client's address first. A link-local IPv6 address carries its `%interface`.
        """
        return self.call(_ask, address, port, proto, timeout, source)

    def reaches(self, address: str, port: int, proto: Proto = "tcp", *, timeout: float = 10.0) -> bool:
        """Did anybody answer in time? A refusal counts as no. For what is expected to be a yes: see `misses`."""
        try:
            self.ask(address, port, proto, timeout=timeout)
        except OSError:
            return False
        return True

    def misses(self, address: str, port: int, proto: Proto = "tcp") -> bool:
        """Did nobody answer, soon? For what is expected to be: who waits for nothing does not wait for long."""
        return not self.reaches(address, port, proto, timeout=0.4)

    def answered(self, *asked: tuple[str, int, Proto]) -> list[bool]:
        """Which of (address, port, protocol) answers, all asked at once; for what is a yes here and a no there."""
        with ThreadPoolExecutor(len(asked)) as threads:
            return list(threads.map(lambda one: self.reaches(*one, timeout=1.2), asked))

    def ping(self, address: str, *, timeout: float = 10.0) -> bool:
        """Does one ping come back? Where none is expected, `timeout` is short."""
        family = "-6" if ":" in address else "-4"
        done = subprocess.run(
            self.command("ping", family, "-n", "-c", "1", "-W", str(timeout), address), capture_output=True, check=False
        )
        return done.returncode == 0


class Host(Netns):
    """A namespace in which a daemon may run as on a machine of its own, with an uplink where asked."""

    def __init__(
        self, *, uplink: bool = False, outside: Netns | None = None, number: int = 2, fd: int | None = None
    ) -> None:
        """A fresh namespace, or one that `fd` (taken over) refers to."""
        super().__init__(fd)
        self._own_outside: Netns | None = None
        self.own_links = {"lo", "eth0"}  # what is no daemon's; a test that makes another one says so
        self.address4 = f"198.51.100.{number}"
        self.address6 = f"2001:db8:ff::{number:x}"
        try:
            if outside is None and uplink:
                outside = self._own_outside = Netns()
                _make_outside(outside)
            self._outside = outside
            if outside is not None:
                self._attach(outside, number)
        except BaseException:
            self.close()
            raise

    @property
    def outside(self) -> Netns:
        """The network beyond the uplink."""
        assert self._outside is not None, "made without uplink"
        return self._outside

    def close(self) -> None:
        """Also closes the outside where it was made for this host alone."""
        super().close()
        if self._own_outside is not None:
            self._own_outside.close()

    def _attach(self, outside: Netns, number: int) -> None:
        port = f"host{number}"
        self.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", outside.netns_path)
        # A router asks for its neighbours from its link-local address: without the second that DAD takes.
        self.sysctl("net/ipv6/conf/eth0/accept_dad", "0")
        self.run(
            "ip",
            "-batch",
            "-",
            stdin=f"""addr add {self.address4}/24 dev eth0
                addr add {self.address6}/64 dev eth0 nodad
                link set eth0 up
                route add default via {OUTSIDE4}
                """,
        )
        outside.run("ip", "link", "set", port, "master", "wan", "up")
        # After the port is up: without carrier the kernel refuses an IPv6 route's gateway.
        self.run("ip", "-6", "route", "add", "default", "via", OUTSIDE6, "dev", "eth0")


def _make_outside(outside: Netns) -> None:
    outside.sysctl("net/ipv6/conf/default/accept_dad", "0")
    outside.run(
        "ip",
        "-batch",
        "-",
        stdin=f"""link add wan type bridge
            addr add {OUTSIDE4}/24 dev wan
            addr add {OUTSIDE6}/64 dev wan nodad
            link set wan up
            """,
    )


def eventually(condition: Callable[[], T], *, timeout: float = 30.0, what: str = "") -> T:
    """Poll until the condition is true; its value. Raises AssertionError at the deadline."""
    deadline = time.monotonic() + timeout
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or condition}")
        time.sleep(0.01)


def _socket(address: str, proto: Proto) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)


def _listening(address: str, port: int, proto: Proto) -> socket.socket:
    server = _socket(address, proto)
    try:
        if server.family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if proto == "tcp":
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(_end(address, port, server.family))
        if proto == "tcp":
            server.listen()
    except BaseException:
        server.close()
        raise
    return server


def _answer(server: socket.socket, stopped: socket.socket, tag: str) -> None:
    while True:
        ready, _, _ = select.select([server, stopped], [], [])
        if stopped in ready:
            return
        if server.type == socket.SOCK_STREAM:
            connection, client = server.accept()
            with connection:
                connection.sendall(_told(client, tag))
        else:
            _, client = server.recvfrom(2048)
            server.sendto(_told(client, tag), client)


def _told(client: Any, tag: str) -> bytes:
    return f"{client[0]} {client[1]} {tag}\n".encode()


def _ask(address: str, port: int, proto: Proto, timeout: float, source: str) -> Seen:
    with _socket(address, proto) as client:
        client.settimeout(timeout)
        if source:
            client.bind(_end(source, 0, client.family))
        client.connect(_end(address, port, client.family))
        if proto == "udp":
            text = _asked(client, timeout)
        else:
            with client.makefile("rb") as stream:
                text = stream.read()
    if not text:
        raise ConnectionError(f"{address} {port}/{proto} closed without an answer")
    seen, seen_port, tag = text.decode().rstrip("\n").split(" ", 2)
    return Seen(seen, int(seen_port), tag)


def _asked(client: socket.socket, timeout: float) -> bytes:
    deadline = time.monotonic() + timeout
    while True:
        client.send(b"who am i")
        left = deadline - time.monotonic()
        client.settimeout(max(0.01, min(_AGAIN, left)))
        try:
            return client.recv(2048)
        except TimeoutError:
            if left <= _AGAIN:
                raise


def _end(address: str, port: int, family: int) -> Any:
    """The socket address; resolves the scope of a link-local one in the namespace of the calling thread."""
    return socket.getaddrinfo(address, port, family=family, flags=socket.AI_NUMERICHOST)[0][4]
