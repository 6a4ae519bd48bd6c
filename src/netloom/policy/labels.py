"""Entries that a container carries in its own labels.

    netloom.policy.allow.from = "label:role=web 5432/tcp; cidr:192.0.2.0/24"
    netloom.policy.deny.to    = "name:*.example.com 443"

Each value is a list of peers, separated by semicolons, each with the ports that are meant (none: all). The container
is the other side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netloom.model.errors import InvalidArgument
from netloom.model.policy import Entry, Peer, Policy
from netloom.policy import parse

PREFIX = "netloom.policy."
_KNOWN = {f"{verdict}.{side}": (verdict == "allow", side) for verdict in ("allow", "deny") for side in ("from", "to")}
_KINDS = ("container", "label", "network", "cidr", "name")


def carries(labels: Mapping[str, str]) -> bool:
    """Are there any?"""
    return any(label.startswith(PREFIX) for label in labels)


def entries(container: str, name: str, labels: Mapping[str, str]) -> list[Entry]:
    """Those of one container. Raises InvalidArgument naming the label."""
    found: list[Entry] = []
    own = Peer(owner=container)
    for label, value in sorted(labels.items()):
        if not label.startswith(PREFIX):
            continue
        if label.removeprefix(PREFIX) not in _KNOWN:
            known = ", ".join(f"{PREFIX}{key}" for key in _KNOWN)
            raise InvalidArgument(f"unknown label {label}", remedy=f"known are {known}")
        allow, side = _KNOWN[label.removeprefix(PREFIX)]
        for text in filter(None, (part.strip() for part in value.split(";"))):
            word, *words = text.split()
            peer = _peer(word, f"label {label}")
            ports = parse.ports(words or None, f"label {label}")
            sides = (peer, own) if side == "from" else (own, peer)
            made = Entry(f"{name}.{len(found) + 1}", allow, *sides, ports)
            found.append(parse.checked(made, f"label {label}: {text!r}"))
    return found


def label_policy(containers: Iterable[tuple[str, str, Mapping[str, str]]]) -> Policy:
    """The entries of all containers (id, name, labels); of one whose labels say nothing that we know, none."""
    found: list[Entry] = []
    for container, name, labels in containers:
        if carries(labels):
            try:
                found += entries(container, name, labels)
            except InvalidArgument:
                continue  # it was made by a netloom that knew them
    return Policy(parse.LABELS, entries=tuple(found))


def _peer(word: str, where: str) -> Peer:
    if word in ("any", "host"):
        return Peer(host=word == "host")
    kind, colon, value = word.partition(":")
    if not colon or kind not in _KINDS:
        kinds = ", ".join(f"{kind}:…" for kind in _KINDS)
        raise InvalidArgument(f"{where}: {word!r} chooses nobody", remedy=f"write {kinds}, host or any")
    return parse.peer({kind: value}, where)
