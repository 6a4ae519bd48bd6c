from __future__ import annotations

import json

import pytest

from netloom.daemon.daemon_json import sift
from netloom.model.errors import InvalidArgument, Unsupported


def test_networking_is_taken_and_the_rest_told_of() -> None:
    document = {
        "bip": "172.30.0.1/16",
        "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}],
        "host-gateway-ip": "192.0.2.1",
        "debug": True,
        "data-root": "/data",
        "userland-proxy": True,
        "iptables": True,
        "bridge": "",
    }
    taken, passed = sift(json.dumps(document), "daemon.json")
    assert taken == {
        "bip": "172.30.0.1/16",
        "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}],
        "host-gateway-ips": ["192.0.2.1"],
        "log-level": "debug",
    }
    assert passed == ["data-root", "userland-proxy"]


def test_an_empty_file_says_nothing() -> None:
    assert sift(" \n", "daemon.json") == ({}, [])


@pytest.mark.parametrize(
    "document",
    [
        {"bridge": "br0"},
        {"iptables": False},
        {"ip6tables": False},
        {"firewall-backend": "iptables"},
        {"allow-direct-routing": True},
        {"default-gateway-v6": "fd00::1"},
        {"cluster-store": "etcd://x"},
    ],
)
def test_networking_that_is_not_there_is_refused(document: dict[str, object]) -> None:
    (key,) = document
    with pytest.raises(Unsupported, match=f"daemon.json: {key}: .* is not supported"):
        sift(json.dumps(document), "daemon.json")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"foo": 1, "mtu": 1500}', "don't match any configuration option: foo"),
        ('{"mtu": 15', "invalid JSON"),
        ('{"mtu": 1500, "mtu": 1400}', "'mtu' stands there twice"),
        ("[]", "holds no JSON object"),
    ],
)
def test_what_docker_refuses_is_refused(body: str, sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        sift(body, "daemon.json")
