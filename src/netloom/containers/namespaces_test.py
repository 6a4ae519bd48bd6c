"""Modes of namespaces, in Docker's words."""

from typing import Any

import pytest

from netloom.containers.namespaces import check, joined, own
from netloom.model.container import ContainerConfig
from netloom.model.errors import InvalidArgument
from netloom.model.host_config import HostConfig


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"pid_mode": "bad"}, "invalid PID mode: bad"),
        ({"pid_mode": "container:"}, "invalid PID mode: container:"),
        ({"pid_mode": "private"}, "invalid PID mode: private"),
        ({"ipc_mode": "bad"}, "invalid IPC mode: bad"),
        ({"uts_mode": "private"}, "invalid UTS mode: private"),
        ({"uts_mode": "host"}, "conflicting options: hostname and the UTS mode"),
        ({"cgroupns_mode": "bad"}, "invalid cgroup namespace mode: bad"),
        ({"userns_mode": "private"}, "invalid USER mode: private"),
    ],
)
def test_sentences(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(ContainerConfig(hostname="h"), HostConfig(**fields))
    assert caught.value.sentence == sentence


@pytest.mark.parametrize(
    ("fields", "kinds", "shared"),
    [
        ({}, "mount pid uts ipc", {}),
        ({"pid_mode": "host"}, "mount uts ipc", {}),
        ({"uts_mode": "host", "userns_mode": "host", "cgroupns_mode": "host"}, "mount pid ipc", {}),
        ({"ipc_mode": "host"}, "mount pid uts", {}),
        ({"ipc_mode": "none"}, "mount pid uts ipc", {}),
        ({"ipc_mode": "shareable"}, "mount pid uts ipc", {}),
        (
            {"ipc_mode": "container:a", "pid_mode": "container:b"},
            "mount uts",
            {"ipc": "a", "pid": "b"},
        ),
    ],
)
def test_what_is_made_anew_and_what_is_shared(fields: dict[str, Any], kinds: str, shared: dict[str, str]) -> None:
    host_config = HostConfig(**fields)
    check(ContainerConfig(), host_config)
    assert own(host_config) == kinds.split()
    assert joined(host_config) == shared
