"""The environment of a link, as a running Docker 28.5 showed it."""

from __future__ import annotations

from netloom.containers.link_environment import link_environment


def test_ports_ranges_and_environment() -> None:
    exposed = ("81/udp", "80/tcp", "9001/tcp", "9000", "9002/tcp")
    made = list(link_environment("lk2", "my-db.x", "172.17.0.2", exposed, ("FOO=bar", "HOME=/x", "PATH=/b", "SP=a b")))
    assert made[:5] == [
        "MY_DB.X_PORT=tcp://172.17.0.2:80",
        "MY_DB.X_PORT_80_TCP=tcp://172.17.0.2:80",
        "MY_DB.X_PORT_80_TCP_ADDR=172.17.0.2",
        "MY_DB.X_PORT_80_TCP_PORT=80",
        "MY_DB.X_PORT_80_TCP_PROTO=tcp",
    ]
    assert made[-11:] == [
        "MY_DB.X_PORT_81_UDP=udp://172.17.0.2:81",
        "MY_DB.X_PORT_81_UDP_ADDR=172.17.0.2",
        "MY_DB.X_PORT_81_UDP_PORT=81",
        "MY_DB.X_PORT_81_UDP_PROTO=udp",
        "MY_DB.X_PORT_9000_TCP_START=tcp://172.17.0.2:9000",
        "MY_DB.X_PORT_9000_TCP_PORT_START=9000",
        "MY_DB.X_PORT_9000_TCP_END=tcp://172.17.0.2:9002",
        "MY_DB.X_PORT_9000_TCP_PORT_END=9002",
        "MY_DB.X_NAME=/lk2/my-db.x",
        "MY_DB.X_ENV_FOO=bar",
        "MY_DB.X_ENV_SP=a b",
    ]
    assert len(made) == 1 + 5 * 4 + 4 + 3


def test_without_ports_and_environment() -> None:
    assert list(link_environment("a", "db", "172.17.0.2", (), ())) == ["DB_NAME=/a/db"]
