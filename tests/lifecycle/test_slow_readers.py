"""A client that does not read holds up neither its container, nor other clients, nor the daemon."""

from __future__ import annotations

import json
import re
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import eventually

SIZE = 12_000_000  # bytes: more than any buffer between program and client


def opened(daemon: Daemon, method: str, path: str, body: Any = None) -> socket.socket:
    """A stream whose head was read and nothing else."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(str(daemon.socket))
    data = json.dumps(body).encode() if body is not None else b""
    head = f"{method} {path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
    client.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += client.recv(1)
    assert re.match(rb"HTTP/1.1 (101|200) ", seen), seen
    return client


def output(client: socket.socket) -> int:
    """How many bytes of output come to the end of a framed stream."""
    size = 0
    with client.makefile("rb") as stream:
        while head := stream.read(8):
            size += len(stream.read(int.from_bytes(head[4:], "big")))
    return size


def memory(daemon: Daemon) -> int:
    """Resident bytes of the daemon."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{daemon.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_nobody_waits_for_one_that_does_not_read(daemon: Daemon) -> None:
    flood = f"head -c {SIZE} /dev/zero"
    body = {"Image": "host", "Cmd": ["sh", "-c", f"{flood}; touch /tmp/done; exec sleep 1000"]}
    daemon.json("POST", "/containers/create?name=sl-one", body)
    before = memory(daemon)
    with ExitStack() as stack:
        events = stack.enter_context(opened(daemon, "GET", "/events"))
        attached = [
            stack.enter_context(opened(daemon, "POST", "/containers/sl-one/attach?stream=1&stdout=1&stderr=1"))
            for _ in range(2)
        ]
        daemon.json("POST", "/containers/sl-one/start")
        logs = stack.enter_context(opened(daemon, "GET", "/containers/sl-one/logs?follow=1&stdout=1"))
        eventually(lambda: daemon.docker_run("exec", "sl-one", "test", "-e", "/tmp/done").returncode == 0)
        command = {"Cmd": ["sh", "-c", f"{flood}; touch /tmp/done2"], "AttachStdout": True}
        key = daemon.json("POST", "/containers/sl-one/exec", command)["Id"]
        executed = stack.enter_context(opened(daemon, "POST", f"/exec/{key}/start", {}))
        eventually(lambda: not daemon.json("GET", f"/exec/{key}/json")["Running"])
        assert memory(daemon) - before < 24_000_000
        daemon.docker("kill", "sl-one")
        assert [output(client) for client in (*attached, executed)] == [SIZE] * 3
        assert b"start" in events.recv(65536)
        assert logs.recv(65536)
    daemon.docker("rm", "sl-one")
    assert not [path.name for path in daemon.state_dir.iterdir() if path.name.startswith("tmp")]
