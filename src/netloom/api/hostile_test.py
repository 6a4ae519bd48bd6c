"""Requests that nobody means well with: each is answered 4xx in words, and the daemon stays as it was."""

import json
from typing import Any

import pytest

from netloom.testing.api_client import Client, request
from netloom.testing.fake_backend import FakeBackend

CREATE = "/networks/create"
DEEP = 5000
JSON_TYPE = {"Content-Type": "application/json"}


def chunked(*pieces: bytes, path: str = CREATE) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + b"".join(pieces)


def post(path: str, body: Any, headers: dict[str, str] | None = None) -> bytes:
    return request("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)


WRONG_TYPES = [
    post(CREATE, {"Name": value}) for value in (1, 1.5, True, [], {}, ["a"], {"a": "b"}, -1, 10**30, [[[]]])
] + [
    post(CREATE, {"Name": "x", key: value})
    for key, value in (
        ("Internal", "yes"),
        ("EnableIPv6", 1),
        ("EnableIPv4", []),
        ("Labels", []),
        ("Labels", "a=b"),
        ("Labels", {"a": {}}),
        ("Options", {"a": 1}),
        ("Options", "mtu=1"),
        ("IPAM", []),
        ("IPAM", "10.0.0.0/8"),
        ("IPAM", {"Config": {"Subnet": "10.0.0.0/8"}}),
        ("IPAM", {"Config": ["10.0.0.0/8"]}),
        ("IPAM", {"Config": [{"Subnet": 10}]}),
        ("IPAM", {"Config": [{"AuxiliaryAddresses": ["10.0.0.1"]}]}),
        ("IPAM", {"Options": {"a": None, "b": 1}}),
        ("ConfigFrom", "other"),
        ("Driver", {"Name": "bridge"}),
        ("Attachable", 0),
    )
]
WHOLE_BODIES = [
    post(CREATE, body)
    for body in (
        b"[]",
        b"1",
        b'"x"',
        b"true",
        b"{",
        b"}",
        b"[",
        b'{"Name"',
        b'{"Name":',
        b'{"Name":"x',
        b'{"Name":"x"',
        b'{"Name":"x",',
        b'{"Name":"x"}}',
        b'{"Name":"x"}{"Name":"y"}',
        b'{"Name":"x"} trailing',
        b"{'Name':'x'}",
        b"{Name:x}",
        b'{"Name":"x\x00"}',
        b'{"Name":"\xff\xfe"}',
        b'{"Name":"\\ud800"}',
        b'{"Name":"\\u12"}',
        b'{"Name":NaN}',
        b'{"Name":Infinity}',
        b"\xef\xbb\xbf{}",
        b"\x00\x01\x02",
        b"[" * DEEP,
        b'{"a":' * DEEP,
        b'{"Name":' + b"9" * 100_000 + b"}",
        b"\n\n\n",
        b"<xml/>",
        b"Name=x",
    )
]
CONTAINERS = [
    post("/containers/create?name=c", {"Image": "host", **body})
    for body in (
        {"Cmd": 5},
        {"Cmd": [["a"]]},
        {"Env": "A=b"},
        {"Env": [1]},
        {"Tty": "true"},
        {"ExposedPorts": ["80/tcp"]},
        {"ExposedPorts": {"80/tcp": 1}},
        {"Labels": [["a", "b"]]},
        {"StopTimeout": "10"},
        {"StopTimeout": 1.5},
        {"HostConfig": []},
        {"HostConfig": {"PortBindings": {"80/tcp": {"HostPort": "1"}}}},
        {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": 80}]}}},
        {"HostConfig": {"Memory": "1g"}},
        {"HostConfig": {"Memory": 10**40}},
        {"HostConfig": {"Memory": 0.1}},
        {"HostConfig": {"ConsoleSize": ["a"]}},
        {"HostConfig": {"ConsoleSize": [-1, 5]}},
        {"HostConfig": {"ConsoleSize": [1 << 40, 5]}},
        {"HostConfig": {"NetworkMode": ["a"]}},
        {"HostConfig": {"Dns": "1.1.1.1"}},
        {"HostConfig": {"BlkioWeight": -1}},
        {"NetworkingConfig": {"EndpointsConfig": ["n"]}},
        {"NetworkingConfig": {"EndpointsConfig": {"n": "x"}}},
        {"NetworkingConfig": {"EndpointsConfig": {"n": {"IPAMConfig": {"LinkLocalIPs": {"a": 1}}}}}},
    )
]
PATHS = [
    f"{method} {path} HTTP/1.1\r\nHost: d\r\n\r\n".encode("utf-8", "surrogateescape")
    for method, path in (
        ("GET", "/../../etc/passwd"),
        ("GET", "/networks/../../../etc/shadow"),
        ("GET", "/networks/%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
        ("GET", "/networks/..%2f..%2fx"),
        ("GET", "/containers/%00/json"),
        ("GET", "/containers/..%2f..%2fetc/json"),
        ("GET", "/containers/a%0d%0aX-Evil:%201/json"),
        ("GET", "/containers/%ff%fe/json"),
        ("GET", "/containers/%F0%9F%92%A9/json"),
        ("GET", "/networks/%E2%80%AE"),
        ("GET", "/networks/" + "x" * 4000),
        ("GET", "/networks/" + "%41" * 2000),
        ("GET", "/v1.51.1.1.1.1/networks"),
        ("GET", "/v99999999999999999999/networks"),
        ("GET", "/v1.-1/networks"),
        ("GET", "/v" + "1." * 1000 + "/networks"),
        ("GET", "/v./networks"),
        ("DELETE", "/networks/"),
        ("DELETE", "/networks/*"),
        ("POST", "/networks//connect"),
        ("POST", "/containers//start"),
        ("BREW", "/networks"),
        ("PUT", "/networks/create"),
        ("GET", "/networks?filters=%7B"),
        ("GET", "/networks?filters=%5B1%2C2%5D"),
        ("GET", "/networks?filters=" + "%5B" * 2000),
        ("GET", "/networks?filters=%7B%22name%22%3A%5B%22(a%2B)%2B%22%5D%7D"),
        ("GET", "/networks?filters=%7B%22id%22%3A%7B%22a%22%3A%22b%22%7D%7D"),
        ("GET", "/events?since=" + "9" * 400),
        ("GET", "/events?since=-&until=-"),
        ("GET", "/containers/json?limit=1e9"),
        ("GET", "/containers/json?limit=" + "9" * 4500),
        ("GET", "/containers/json?filters=%7B%22publish%22%3A%5B%2299999999-1%22%5D%7D"),
        ("GET", "/containers/json?" + "a=1&" * 1500),
    )
]
FRAMING = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 60 + b"\r\n\r\n",
    b"hello\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /networks\r\n\r\n",
    b"GET /networks HTTP/9.9\r\nHost: d\r\n\r\n",
    b"GET /networks HTTP/1.1\r\nHost d\r\n\r\n",
    b"GET /networks HTTP/1.1\r\nHost: d\r\n" + b"X: " + b"y" * 20_000 + b"\r\n\r\n",
    b"GET /networks HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(500)) + b"\r\n",
    b"GET /" + b"x" * 50_000 + b" HTTP/1.1\r\nHost: d\r\n\r\n",
    b"GET /\x00\x01 HTTP/1.1\r\nHost: d\r\n\r\n",
    b"POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Length: -5\r\n\r\n",
    b"POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Length: five\r\n\r\n",
    b"POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
    b"POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    chunked(b"zz\r\n{}\r\n0\r\n\r\n"),
    chunked(b"-1\r\n{}\r\n0\r\n\r\n"),
    chunked(b"2\r\n{}garbage"),
    chunked(b"2\r\n{]\r\n0\r\n\r\n"),
    chunked(b"10000000000000000\r\n{}"),
    request("POST", CREATE, b"{}", {"Content-Type": "text/plain"}),
    request("POST", CREATE, b"{}", {"Content-Type": "application/x-www-form-urlencoded"}),
    request("POST", CREATE, b"{}", {"Content-Type": ""}),
    request("POST", CREATE, b"{}", {"Content-Type": ";;;"}),
    request("POST", CREATE, b"{}", {"Content-Encoding": "gzip"}),
]
HUGE = [
    request("POST", CREATE, b"{", {"Content-Length": "99999999999"}),
    post(CREATE, b'{"Name":"' + b"x" * (5 << 20) + b'"}'),
    chunked(b"600000\r\n" + b" " * 0x600000 + b"\r\n0\r\n\r\n"),
]
STREAMS = [
    post("/networks/bridge/connect", body)
    for body in (
        {"Container": 1},
        {"Container": ["a"]},
        {"EndpointConfig": []},
        {"EndpointConfig": {"Aliases": "a"}},
        {},
    )
] + [
    post("/networks/bridge/disconnect", {"Force": "yes"}),
    post("/containers/nope/exec", {"Cmd": "ls"}),
    post("/containers/nope/exec", {"Cmd": ["ls"], "ConsoleSize": "big"}),
    post("/exec/nope/start", {"Tty": 1}),
    request("POST", "/containers/nope/resize?h=-1&w=1"),
    request("POST", "/containers/nope/resize?h=1&w=%00"),
    request("POST", "/containers/nope/wait?condition=%0a"),
    request("GET", "/containers/nope/logs"),
    request("POST", "/containers/nope/attach?stream=1", headers={"Connection": "Upgrade", "Upgrade": "tcp"}),
]
EVERYTHING = WRONG_TYPES + WHOLE_BODIES + CONTAINERS + PATHS + FRAMING + HUGE + STREAMS


def test_there_are_enough_of_them() -> None:
    assert len(EVERYTHING) > 100


@pytest.mark.parametrize("data", EVERYTHING, ids=lambda data: repr(data[:60]))
async def test_hostile(api: Client, backend: FakeBackend, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    answer = await api.raw(data)
    assert 400 <= answer.status < 500, answer
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.message) > 5
    assert "internal error" not in answer.message
    assert not caplog.records
    assert len(backend.networks()) == 3
    assert not backend.containers()
    assert (await api("GET", "/_ping")).body == b"OK"
