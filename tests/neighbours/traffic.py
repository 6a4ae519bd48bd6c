"""What passes and what does not, asked of real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Host, Netns, Proto

PROTOCOLS: tuple[Proto, ...] = ("tcp", "udp")


@contextmanager
def serving(place: Netns, port: int) -> Iterator[None]:
    """Servers of both protocols on every address of both families."""
    with ExitStack() as stack:
        for proto in PROTOCOLS:
            for address in ("0.0.0.0", "::"):
                stack.enter_context(place.serve(address, port, proto))
        yield


class Web:
    """A container `web` on a network `red` of both families, its port 80 published as 8080."""

    def __init__(self, daemon: Daemon, stack: ExitStack) -> None:
        self.daemon = daemon
        self.host: Host = daemon.host
        daemon.docker("network", "create", "--ipv6", "red")
        ports = ("-p", "8080:80", "-p", "8080:80/udp")
        daemon.docker("run", "-d", "--network", "red", *ports, "--name", "web", "host", "sleep", "600")
        self.place = stack.enter_context(Netns.of(daemon.inspect("web")["State"]["Pid"]))
        stack.enter_context(serving(self.place, 80))
        stack.enter_context(serving(self.host.outside, 80))

    def out(self) -> bool:
        """Does it reach other hosts?"""
        return all(self.place.reaches(a, 80, proto) for proto in PROTOCOLS for a in (OUTSIDE4, OUTSIDE6))

    def published(self) -> bool:
        """Is its port reached from outside?"""
        addresses = (self.host.address4, self.host.address6)
        return all(self.host.outside.reaches(a, 8080, proto) for proto in PROTOCOLS for a in addresses)

    def passes(self) -> bool:
        """Both."""
        return self.out() and self.published()
