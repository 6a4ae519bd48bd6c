"""Entries in labels."""

from __future__ import annotations

import pytest

from netloom.model.errors import InvalidArgument
from netloom.model.policy import Entry, Peer, PortRange
from netloom.policy.labels import entries, label_policy


def test_the_container_is_the_other_side() -> None:
    own = Peer(owner="c1")
    labels = {
        "netloom.policy.allow.from": "label:role=web 5432/tcp 53/udp; any icmp;",
        "netloom.policy.deny.to": "cidr:2001:db8::/32; host",
        "other": "x",
    }
    assert entries("c1", "web", labels) == [
        Entry("web.1", True, Peer(labels=("role=web",)), own, (PortRange("tcp", 5432, 5432), PortRange("udp", 53, 53))),
        Entry("web.2", True, Peer(), own, (PortRange("icmp"),)),
        Entry("web.3", False, own, Peer(cidr="2001:db8::/32")),
        Entry("web.4", False, own, Peer(host=True)),
    ]
    assert label_policy([("c1", "web", labels), ("c2", "bad", {"netloom.policy.x": ""})]).entries == tuple(
        entries("c1", "web", labels)
    )


@pytest.mark.parametrize(
    ("label", "value", "told"),
    [
        ("netloom.policy.permit", "any", "unknown label netloom.policy.permit: known are netloom.policy.allow.from"),
        ("netloom.policy.deny.to", "everybody", "label netloom.policy.deny.to: 'everybody' chooses nobody"),
        ("netloom.policy.deny.to", "any 99999", "'99999' is no port"),
        ("netloom.policy.deny.from", "host", "the host reaches every container"),
    ],
)
def test_faults(label: str, value: str, told: str) -> None:
    with pytest.raises(InvalidArgument) as failed:
        entries("c", "c", {label: value})
    assert told in failed.value.message
