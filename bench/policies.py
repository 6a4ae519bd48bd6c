"""What policies cost: bytes and new connections between two containers, with none and with 1,000 entries."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from bench.engines import PREFIX, Engine, Ours
from bench.figures import Figures

ENTRIES = 1000
_PORT = 9000
_SERVER = """
import socket, sys, threading
server = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=128)
room = bytearray(1 << 20)
def serve(one):
    total = 0
    while (got := one.recv_into(room)): total += got
    one.sendall(b"%d\\n" % total)
    one.close()
print("ready", flush=True)
while True:
    serve(server.accept()[0])
"""
_STREAM = """
import socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as one:
    block = memoryview(bytes(1 << 20))
    begun = time.perf_counter()
    while time.perf_counter() - begun < float(sys.argv[3]): one.sendall(block)
    one.shutdown(socket.SHUT_WR)
    total = int(one.makefile().readline())
    print(total / (time.perf_counter() - begun) / (1 << 20))
"""
_CONNECTIONS = """
import socket, sys, time
begun, count = time.perf_counter(), 0
while time.perf_counter() - begun < float(sys.argv[3]):
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as one:
        one.shutdown(socket.SHUT_WR)
        one.recv(16)
    count += 1
print(count / (time.perf_counter() - begun))
"""


def policies(engine: Engine, figures: Figures, rounds: int, seconds: float) -> None:
    """(j) Each round without, then with: other work on the machine hits both alike. Docker has none."""
    if not isinstance(engine, Ours):
        return
    engine.network("policed")
    server, client = (engine.container(f"{PREFIX}-policed") for _ in range(2))
    told = engine.client.call("GET", f"/containers/{server}/json")
    address = told["NetworkSettings"]["Networks"][f"{PREFIX}-policed"]["IPAddress"]
    with subprocess.Popen([*_inside(engine, server), _SERVER, str(_PORT)], stdout=subprocess.PIPE) as serving:
        try:
            assert serving.stdout is not None
            serving.stdout.readline()
            for _ in range(rounds):
                for entries in (0, ENTRIES):
                    _put(engine, entries)
                    for what, program in (
                        ("MiB/s between containers", _STREAM),
                        ("connections a second", _CONNECTIONS),
                    ):
                        command = [*_inside(engine, client), program, address, str(_PORT), str(seconds)]
                        done = subprocess.run(command, capture_output=True, text=True, check=True)
                        figures.add(engine.name, f"{what}, {entries} policy entries", float(done.stdout))
        finally:
            serving.kill()
            _put(engine, 0)
    engine.wipe()


def _inside(engine: Engine, container: str) -> list[str]:
    pid = engine.client.call("GET", f"/containers/{container}/json")["State"]["Pid"]
    return ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c"]


def _put(engine: Ours, entries: int) -> None:
    """Both containers are chosen by entries, and allowed to talk by the last one on a network that is closed."""
    command = [sys.executable, "-m", "netloom", "-H", f"unix://{engine.path}", "policy"]
    if not entries:
        subprocess.run([*command, "rm", PREFIX], capture_output=True, check=False)
        return
    network = {"network": f"{PREFIX}-policed"}
    document = {
        "name": PREFIX,
        "default": {f"{PREFIX}-policed": "deny"},
        "deny": [
            {
                "from": network,
                "to": {"cidr": f"192.0.{number >> 8}.{number & 255}"},
                "ports": [f"{1000 + number}-{2000 + number}"],
            }
            for number in range(entries - 1)
        ],
        "allow": [{"from": network, "to": network, "ports": [_PORT]}],
    }
    subprocess.run([*command, "apply", "-"], input=json.dumps(document).encode(), check=True, stdout=subprocess.DEVNULL)
    time.sleep(0.1)  # what the change itself causes is no part of the figure
