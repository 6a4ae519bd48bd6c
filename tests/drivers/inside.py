"""A program that a container runs: what it finds of the network, as JSON. It knows nothing of how that is made.

Its peer is called `peer`; there a server answers on TCP and UDP port 80 with the address that it sees.
"""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

found: dict[str, object] = {}
interfaces = sorted(name for _, name in socket.if_nameindex())
found["loopback"] = "lo" in interfaces
found["interfaces"] = [name for name in interfaces if name != "lo"]


def routes() -> list[list[str]]:
    return [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]


found["default route"] = any(route[1] == "00000000" for route in routes())
found["routes"] = bool(routes())
lines = Path("/etc/resolv.conf").read_text().splitlines()
found["name servers"] = any(line.startswith("nameserver") for line in lines)


def attempt(what: str, function: object) -> None:
    try:
        found[what] = function()  # type: ignore[operator]
    except OSError as error:
        found[what] = type(error).__name__


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((peer, 80))
        address: str = probe.getsockname()[0]
        return address


def tcp() -> bool:
    with socket.create_connection((peer, 80), timeout=20) as client, client.makefile("rb") as stream:
        return bool(stream.read())


def udp() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.sendto(b"who am i", (peer, 80))
        return bool(client.recv(2048))


def full_frame() -> bool:
    """What fills the path's frames passes in one piece."""
    done = subprocess.run(
        ["ping", "-c", "1", "-W", "20", "-M", "do", "-s", "1472", peer], capture_output=True, check=False
    )
    return done.returncode == 0


def serves() -> bool:
    """Its own address is its own: a server on it is reached at it."""
    with socket.create_server((own_address(), 0)) as server, socket.create_connection(server.getsockname(), timeout=20):
        return bool(server.accept())


def from_a_chosen_port() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.bind((own_address(), 0))
        client.connect((peer, 80))
        return bool(client.recv(2048))


peer = ""
attempt("peer", lambda: socket.gethostbyname("peer"))
peer = str(found.pop("peer"))
attempt("address", own_address)
for what in (tcp, udp, full_frame, serves, from_a_chosen_port):
    attempt(what.__name__, what)
print(json.dumps(found))
