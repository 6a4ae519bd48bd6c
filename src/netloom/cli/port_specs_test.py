import pytest

from netloom.cli.errors import CliError
from netloom.cli.port_specs import exposed, published


def one(ip: str = "", port: str = "") -> dict[str, str]:
    return {"HostIp": ip, "HostPort": port}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("80", {"80/tcp": [one()]}),
        ("8080:80", {"80/tcp": [one(port="8080")]}),
        ("53:53/UDP", {"53/udp": [one(port="53")]}),
        ("127.0.0.1:8080:80", {"80/tcp": [one("127.0.0.1", "8080")]}),
        ("127.0.0.1::80", {"80/tcp": [one("127.0.0.1")]}),
        ("[::1]:8080:80/sctp", {"80/sctp": [one("::1", "8080")]}),
        ("9000-9001:80-81", {"80/tcp": [one(port="9000")], "81/tcp": [one(port="9001")]}),
        ("80-81", {"80/tcp": [one()], "81/tcp": [one()]}),
        ("9000-9010:80", {"80/tcp": [one(port="9000-9010")]}),
    ],
)
def test_published(spec: str, expected: object) -> None:
    assert published([spec]) == expected


def test_one_port_published_twice() -> None:
    assert published(["8080:80", "8081:80"]) == {"80/tcp": [one(port="8080"), one(port="8081")]}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("x", "invalid containerPort: x"),
        ("70000", "invalid containerPort: 70000"),
        ("x:80", "invalid hostPort: x"),
        ("80:", "no port specified"),
        ("80/quic", "invalid proto: quic"),
        ("::1:80:80", "invalid IP address: ::1"),
        ("1.2.3:80:80", "invalid IP address: 1.2.3"),
        ("[x]:80:80", "invalid IP address: x"),
        ("9-8:80", "invalid hostPort: 9-8"),
        ("1-3:80-81", "invalid ranges specified for container and host Ports: 80-81 and 1-3"),
    ],
)
def test_refused(spec: str, sentence: str) -> None:
    with pytest.raises(CliError, match=sentence) as caught:
        published([spec])
    assert caught.value.code == 125


def test_exposed() -> None:
    assert exposed(["99", "53-54/udp"]) == ["99/tcp", "53/udp", "54/udp"]
    with pytest.raises(CliError, match="invalid port format for --expose: 8:9"):
        exposed(["8:9"])
    with pytest.raises(CliError, match="invalid range format for --expose: x"):
        exposed(["x"])
