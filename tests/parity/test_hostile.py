"""Requests that nobody means well with, against a live daemon: each is refused in words, nothing is left of them."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host

NETWORK, CONTAINER = "/networks/create", "/containers/create"
TYPES: tuple[Any, ...] = (1, 1.5, True, [], {"a": 1}, ["a"], [[[]]])


def post(path: str, body: Any, **headers: str) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http("POST", path, data, **headers)


def http(method: str, path: str, data: bytes = b"", **headers: str) -> bytes:
    given = {"Host": "d", "Content-Type": "application/json", "Content-Length": str(len(data)), "Connection": "close"}
    given |= {key.replace("_", "-"): value for key, value in headers.items()}
    head = "".join(f"{key}: {value}\r\n" for key, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n".encode() + head.encode() + b"\r\n" + data


def wrong_types() -> Iterator[bytes]:
    for value in TYPES:
        yield post(NETWORK, {"Name": value})
        if not isinstance(value, list):
            yield post(CONTAINER, {"Image": "host", "Cmd": ["true"], "Env": value})
    for key, value in (
        ("Internal", "yes"),
        ("EnableIPv6", 1),
        ("Labels", ["a"]),
        ("Options", {"a": 1}),
        ("IPAM", "10.0.0.0/8"),
        ("IPAM", {"Config": {"Subnet": "10.0.0.0/8"}}),
        ("IPAM", {"Config": [{"Subnet": 10}]}),
        ("ConfigFrom", "x"),
    ):
        yield post(NETWORK, {"Name": "hostile", key: value})
    for key, value in (
        ("NetworkMode", 1),
        ("PortBindings", []),
        ("PortBindings", {"80/tcp": "8080"}),
        ("PortBindings", {"80/tcp": [{"HostPort": 8080}]}),
        ("Sysctls", ["a=b"]),
        ("CapAdd", {"NET_ADMIN": True}),
        ("Memory", "1g"),
        ("Memory", 10**30),
        ("Dns", {"a": "b"}),
    ):
        yield post(CONTAINER, {"Image": "host", "Cmd": ["true"], "HostConfig": {key: value}})


def addresses() -> Iterator[bytes]:
    for subnet in (
        "banana",
        "10.0.0.0",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "10.0.0.256/24",
        "10.0.0.1/24",
        "010.1.0.0/16",
        "0x0a.0.0.0/8",
        "1٠.0.0.0/8",
        "10.0.0.0/ 8",
        "fd00::/129",
        "fd00::%eth0/64",
        "::ffff:10.0.0.0/200",
        "\x00",
        "1" * 100_000,
        "224.0.0.0/24",
        "127.0.0.0/8\n",
        "../../etc/passwd",
    ):
        yield post(NETWORK, {"Name": "hostile", "IPAM": {"Config": [{"Subnet": subnet}]}})
    for entry in (
        {"Subnet": "10.9.0.0/24", "Gateway": "10.8.0.1"},
        {"Subnet": "10.9.0.0/24", "Gateway": "$(reboot)"},
        {"Subnet": "10.9.0.0/24", "IPRange": "10.8.0.0/25"},
        {"Subnet": "10.9.0.0/24", "AuxiliaryAddresses": {"../x": "10.8.0.1"}},
        {"Gateway": "10.9.0.1"},
    ):
        yield post(NETWORK, {"Name": "hostile", "IPAM": {"Config": [entry]}})


def names() -> Iterator[bytes]:
    for name in ("", " ", "a\x00b", "a\nb", "\x1b[2J", "\x7f"):
        yield post(NETWORK, {"Name": name})
    for name in ("..", "../../etc/cron.d/x", "a/b", "-rf", ".hidden", "ü", "a b", "%00", "a%0ab", "x", "\u202etxt"):
        yield post(f"{CONTAINER}?name={_quoted(name)}", {"Image": "host", "Cmd": ["true"]})
    for path in (
        "/networks/..%2f..%2fetc%2fpasswd",
        "/networks/%00",
        "/networks/%ff%fe",
        "/containers/../../etc/passwd/json",
        "/containers/%2e%2e/json",
        "/containers/..%2f..%2f/logs?stdout=1",
        "/images/..%2f..%2fetc%2fshadow/json",
        "/exec/../json",
        "/v1.51/../../networks",
        "//networks//bridge",
        "/networks/" + "a" * 5000,
    ):
        yield http("GET", path)
    yield http("DELETE", "/networks/..%2fbridge")
    yield http("DELETE", "/containers/%2e%2e?force=1")
    yield post(CONTAINER, {"Image": "../../etc", "Cmd": ["true"]})
    yield post(CONTAINER, {"Image": "host", "Cmd": ["true"], "HostConfig": {"NetworkMode": "container:"}})
    for option, value in (
        ("com.docker.network.bridge.name", "../../sys"),
        ("com.docker.network.bridge.name", "a b"),
        ("com.docker.network.driver.mtu", "9" * 400),
        ("com.docker.network.container_iface_prefix", "../lo"),
        ("com.docker.network.bridge.host_binding_ipv4", "$(id)"),
        ("no.such.option", "1"),
    ):
        yield post(NETWORK, {"Name": "hostile", "Options": {option: value}})


def texts() -> Iterator[bytes]:
    for body in (
        b"{",
        b'{"Name"',
        b'{"Name":',
        b'{"Name":"x',
        b'{"Name":"x",',
        b'{"Name":"x"}{"Name":"y"}',
        b'{"Name":"x"} trailing',
        b"{'Name':'x'}",
        b'{"Name":"\xff\xfe"}',
        b'{"Name":"\\ud800"}',
        b'{"Name":"\\u12"}',
        b'{"Name":NaN}',
        b"\x00\x01\x02",
        b"[" * 5000,
        b'{"a":' * 5000,
        b'{"Name":' + b"9" * 100_000 + b"}",
        b'{"Name":"hostile-a","Name":"hostile-b"}',
        b'{"Name":"hostile","Internal":true,"Internal":false}',
        b'{"Name":"hostile","Labels":{"a":"1","a":"2"}}',
        b'{"Name":"hostile","name":"other"}',
    ):
        yield post(NETWORK, body)
    yield post(NETWORK, {"Name": "hostile"}, Content_Type="text/plain")
    yield post(NETWORK, b'{"Name":"hostile"}', Content_Encoding="gzip")
    yield post(NETWORK, b"", Content_Length=str(10**12))
    yield post(NETWORK, {"Name": "hostile", "Labels": {"a": "x" * (32 << 20)}})
    yield post("/networks/bridge/connect", {"Container": "../../1", "EndpointConfig": {"MacAddress": "zz"}})
    yield http("GET", "/networks?filters=%7B")
    yield http("GET", "/networks?filters=" + "%5B" * 5000)
    yield http("GET", "/containers/json?filters=%7B%22status%22:%5B%22bad%22%5D%7D")
    yield http("GET", "/v999.999/networks")
    yield http("BREW", "/networks")
    yield b"GET / HTTP/9.9\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n"
    yield b"GET /networks HTTP/1.1\r\nHost: d\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"


def _quoted(name: str) -> str:
    return "".join(f"%{byte:02x}" for byte in name.encode()) if "%" not in name else name


def test_hostile_requests_are_refused_and_nothing_is_left(daemon: Daemon, host: Host) -> None:
    requests = [*wrong_types(), *addresses(), *names(), *texts()]
    assert len(requests) >= 100
    ask(daemon, http("GET", "/networks"))  # what is loaded lazily is loaded
    pid, before = daemon.pid, held(daemon, host)
    faults = []
    for request in requests:
        status, message = ask(daemon, request)
        if not 400 <= status < 500 or len(message) < 5:
            faults.append(f"{request[:160]!r}: {status} {message[:200]!r}")
    assert not faults, "\n".join(faults)
    assert daemon.running
    assert daemon.pid == pid
    assert held(daemon, host) == before
    assert "Traceback" not in daemon.log.read_text(), daemon.log_tail()


def test_clients_that_break_off_leave_nothing(daemon: Daemon, host: Host) -> None:
    ask(daemon, http("GET", "/networks"))
    before = held(daemon, host)
    whole = post(NETWORK, {"Name": "broken-off"}, Content_Length="4000")
    for cut in range(0, len(whole), 7):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(daemon.socket))
            client.sendall(whole[:cut])
    ask(daemon, http("GET", "/networks"))
    assert held(daemon, host) == before


def ask(daemon: Daemon, request: bytes) -> tuple[int, str]:
    """Status and sentence. A server that has answered may close before it has read the whole of a body."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(daemon.socket))
        try:
            client.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while piece := client.recv(65536):
                answer += piece
                head, end, body = answer.partition(b"\r\n\r\n")
                if end and len(body) >= _length(head):
                    break
        except ConnectionResetError:
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace")
    return int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else 0, message


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 1 << 60


def held(daemon: Daemon, host: Host) -> Mapping[str, Any]:
    """Everything that a request could have left: objects, rows, links, addresses, rules, folders, descriptors."""
    with sqlite3.connect(f"file:{daemon.state_dir}/netloom.db?mode=ro", uri=True) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: store.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
    store.close()
    return {
        "networks": sorted(n["Id"] for n in daemon.json("GET", "/networks")),
        "containers": daemon.json("GET", "/containers/json?all=1"),
        "rows": rows,
        "links": host.run("ip", "-o", "addr"),
        "rules": host.run("nft", "list", "ruleset"),
        "folders": sorted(os.listdir(daemon.state_dir / "containers"))
        if (daemon.state_dir / "containers").exists()
        else [],
        "sockets": sum(_is_socket(daemon.pid, fd) for fd in os.listdir(f"/proc/{daemon.pid}/fd")),
    }


def _is_socket(pid: int, fd: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
    except OSError:
        return False
