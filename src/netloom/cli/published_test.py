from typing import Any

import pytest

from netloom.cli.published import shown_ports


def port(private: int, proto: str = "tcp", public: int | None = None, ip: str = "") -> dict[str, Any]:
    return {"PrivatePort": private, "Type": proto} | ({"PublicPort": public, "IP": ip} if public else {})


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([], ""),
        ([port(99)], "99/tcp"),
        ([port(80), port(82), port(81), port(53, "udp")], "53/udp, 80-82/tcp"),
        (
            [port(80, public=8088, ip="0.0.0.0"), port(80, public=8088, ip="::")],
            "0.0.0.0:8088->80/tcp, [::]:8088->80/tcp",
        ),
        ([port(n, "udp", n, "127.0.0.1") for n in (9002, 9000, 9001)], "127.0.0.1:9000-9002->9000-9002/udp"),
        ([port(1), port(3), port(4)], "1/tcp, 3-4/tcp"),
        ([port(80) | {"IP": "0.0.0.0"}], "0.0.0.0:0->80/tcp"),
        ([port(80, public=80, ip="::"), port(81, public=81, ip="::")], "[::]:80-81->80-81/tcp"),
    ],
)
def test_one_line(ports: list[dict[str, Any]], expected: str) -> None:
    assert shown_ports(ports) == expected
