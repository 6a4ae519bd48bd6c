"""Policies as they are written: what is meant, and every fault by the entry's name with its remedy."""

from __future__ import annotations

from typing import Any

import pytest

from netloom.model.errors import InvalidArgument
from netloom.model.policy import Entry, Peer, PortRange
from netloom.policy import parse


def test_a_whole_policy() -> None:
    made = parse.policy(
        {
            "name": "shop",
            "default": {"backend": "deny", "front": "allow"},
            "allow": [
                {
                    "name": "web-to-db",
                    "from": {"label": ["role=web", "tier"]},
                    "to": {"label": {"role": "db"}, "network": "backend"},
                    "ports": [5432, "8000-8999/udp", "icmp"],
                },
                {"from": {"container": "web"}, "to": {"name": "*.Example.com."}},
            ],
            "deny": [{"to": {"cidr": "192.0.2.7"}}, {"from": {"network": "front"}, "to": {"host": True}}],
        },
        created=7,
        dry_run=True,
    )
    assert (made.name, made.created, made.dry_run, made.closed) == ("shop", 7, True, ("backend",))
    assert made.entries == (
        Entry("deny-1", False, Peer(), Peer(cidr="192.0.2.7/32")),
        Entry("deny-2", False, Peer(network="front"), Peer(host=True)),
        Entry(
            "web-to-db",
            True,
            Peer(labels=("role=web", "tier")),
            Peer(labels=("role=db",), network="backend"),
            (PortRange("tcp", 5432, 5432), PortRange("udp", 8000, 8999), PortRange("icmp")),
        ),
        Entry("allow-2", True, Peer(container="web"), Peer(name="*.example.com")),
    )
    assert str(made.entries[2]) == (
        "allow label role=web label tier to label role=db network backend on 5432/tcp, 8000-8999/udp, icmp"
    )


WEB = {"label": "role=web"}
FAULTS: list[tuple[Any, str]] = [
    (None, "a policy is a mapping: write name:"),
    ({}, "invalid policy name None"),
    ({"name": "log"}, "invalid policy name 'log'"),
    ({"name": "a", "alow": []}, "policy a: unknown key 'alow': known are name, default, allow, deny"),
    ({"name": "a", "allow": {}}, "policy a: allow: it is no list"),
    ({"name": "a", "allow": ["x"]}, "policy a: allow entry 1: it is no mapping"),
    ({"name": "a", "default": {"n": "drop"}}, "policy a: default: {'n': 'drop'}: write NETWORK: deny"),
    ({"name": "a", "deny": [{"from": {"lable": "x"}}]}, "policy a: deny entry 1: from: unknown key 'lable'"),
    ({"name": "a", "deny": [{"from": {"label": "=x"}}]}, "policy a: deny entry 1: from: label: '=x'"),
    ({"name": "a", "deny": [{"from": {}}]}, "policy a: deny entry 1: from: it chooses nobody: leave it out"),
    ({"name": "a", "deny": [{"from": {"container": 7}}]}, "from: container: 7 is no text"),
    ({"name": "a", "deny": [{"to": {"cidr": "10.0.0.1/8"}}]}, "to: cidr: 10.0.0.1/8 has host bits set: write an addre"),
    ({"name": "a", "deny": [{"to": {"cidr": "10.0.0.0/8", "network": "n"}}]}, "to: cidr stands alone"),
    ({"name": "a", "deny": [{"to": {"name": "a b"}}]}, "to: name: 'a b' is no DNS name"),
    ({"name": "a", "deny": [{"to": {"host": "yes"}}]}, "to: host: 'yes' is no boolean"),
    ({"name": "a", "deny": [{"from": {"name": "a.test"}}]}, "from: a name says where a connection goes"),
    ({"name": "a", "deny": [{"from": {"host": True}, "to": WEB}]}, "from: the host reaches every container"),
    ({"name": "a", "deny": [{"from": {"cidr": "10.0.0.0/8"}, "to": {"host": True}}]}, "neither side is a container"),
    ({"name": "a", "deny": [{"from": WEB, "to": {"name": "a.test"}, "ports": ["80-81"]}]}, "single ports are known"),
    ({"name": "a", "deny": [{"ports": []}]}, "ports: none are given"),
    ({"name": "a", "deny": [{"name": "no name"}]}, "policy a: deny entry 1: invalid name 'no name'"),
    ({"name": "a", "deny": [{"name": "b"}], "allow": [{"name": "b", "to": WEB}]}, "two entries are called b"),
    (
        {"name": "a", "deny": [{"from": WEB, "ports": [80, 81]}], "allow": [{"from": WEB, "ports": ["81/tcp", 80]}]},
        "policy a: entries deny-1 and allow-1 contradict each other",
    ),
]


@pytest.mark.parametrize(("document", "told"), FAULTS, ids=[told[:40] for _, told in FAULTS])
def test_every_fault_is_told(document: Any, told: str) -> None:
    with pytest.raises(InvalidArgument) as failed:
        parse.policy(document)
    assert told in failed.value.message
    assert failed.value.remedy


@pytest.mark.parametrize("word", ["0", "65536", "90-80", "80/icmp", "80/", "x", "-1", "1-", "tcp/80", "٣", ""])
def test_no_port(word: str) -> None:
    with pytest.raises(InvalidArgument, match="is no port"):
        parse.port(word, "here")
