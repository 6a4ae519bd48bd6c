"""Rules of devices, and devices that nobody can select."""

from typing import Any

import pytest

from netloom.containers.devices import check, refuse_requests, rules
from netloom.model.errors import Failed, InvalidArgument
from netloom.model.host_config import DeviceMapping, DeviceRequest, HostConfig


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("c 1:3 rwm", {"type": "c", "major": 1, "minor": 3, "access": "rwm"}),
        ("b 42:* r", {"type": "b", "major": 42, "access": "r"}),
        ("a *:* rwm", {"type": "a", "access": "rwm"}),
    ],
)
def test_rules(text: str, rule: dict[str, Any]) -> None:
    assert rules(HostConfig(device_cgroup_rules=(text,)))[-1] == {"allow": True, **rule}


@pytest.mark.parametrize("text", ["x 1:3 rwm", "c 1:3 rwx", "c 1 r", "c 1:3", "c 5000000000:3 rwm", " c 1:3 r"])
def test_rules_that_cannot_be_read(text: str) -> None:
    with pytest.raises(Failed) as caught:
        rules(HostConfig(device_cgroup_rules=(text,)))
    assert caught.value.sentence == f"invalid device cgroup rule format: '{text}'"


@pytest.mark.parametrize("access", ["", "rwx"])
def test_permissions(access: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^bad mode specified: "):
        check(HostConfig(devices=(DeviceMapping("/dev/null", "/dev/x", access),)))
    check(HostConfig(devices=(DeviceMapping("/dev/null", "/dev/x", "rw"),)))


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            DeviceRequest(count=-1, capabilities=(("gpu",),)),
            'could not select device driver "" with capabilities: [[gpu]]',
        ),
        (DeviceRequest(driver="nvidia"), 'could not select device driver "nvidia" with capabilities: []'),
        (
            DeviceRequest(driver="cdi", device_ids=("v/c=x",)),
            "CDI device injection failed: unresolvable CDI devices v/c=x",
        ),
    ],
)
def test_requests(request_: DeviceRequest, sentence: str) -> None:
    with pytest.raises(Failed) as caught:
        refuse_requests(HostConfig(device_requests=(request_,)))
    assert caught.value.sentence == sentence
