"""A policy as it is written (YAML or JSON, decoded) → checked values. Every fault names the entry and the remedy."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from netloom.model.errors import InvalidArgument
from netloom.model.policy import Entry, Peer, Policy, PortRange

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
LABELS = "labels"  # the policy that containers' own labels make up
RESERVED = ("log", LABELS, "default", "trial_default")
_PROTOCOLS = ("tcp", "udp", "sctp", "icmp")
_DNS = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PORTS_REMEDY = "write 80, 80/tcp, 8000-8999/udp, tcp, udp, sctp or icmp"
_KEYS = ("container", "label", "network", "cidr", "name", "host")


def policy(document: Any, *, created: int = 0, dry_run: bool = False) -> Policy:
    """The whole document. Raises InvalidArgument."""
    if not isinstance(document, Mapping):
        raise InvalidArgument("a policy is a mapping", remedy="write name:, and allow:, deny: or default: below it")
    name = document.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
        raise InvalidArgument(f"invalid policy name {name!r}", remedy="letters, digits, '_', '.' and '-', at most 63")
    where = f"policy {name}"
    _refuse_unknown(document, ("name", "default", "allow", "deny"), where)
    entries = [
        entry(one, f"{where}: {verdict} entry {number}", allow=verdict == "allow", name=f"{verdict}-{number}")
        for verdict in ("deny", "allow")
        for number, one in enumerate(_list(document.get(verdict), f"{where}: {verdict}"), 1)
    ]
    made = Policy(name, created, tuple(entries), _closed(document.get("default"), where), dry_run)
    refuse_repeated(made)
    return made


def entry(document: Any, where: str, *, allow: bool, name: str) -> Entry:
    """One entry. Raises InvalidArgument naming it."""
    if not isinstance(document, Mapping):
        raise InvalidArgument(f"{where}: it is no mapping", remedy="write from:, to: and ports:, as far as they matter")
    _refuse_unknown(document, ("name", "from", "to", "ports"), where)
    own = document.get("name", name)
    if not isinstance(own, str) or not NAME.fullmatch(own):
        raise InvalidArgument(f"{where}: invalid name {own!r}", remedy="letters, digits, '_', '.' and '-', at most 63")
    source, target = (peer(document.get(side), f"{where}: {side}") for side in ("from", "to"))
    return checked(Entry(own, allow, source, target, ports(document.get("ports"), where)), where)


def checked(made: Entry, where: str) -> Entry:
    """What no entry can mean. Raises InvalidArgument."""
    if made.source.name:
        raise InvalidArgument(
            f"{where}: from: a name says where a connection goes, not where it comes from", remedy="write a cidr"
        )
    if made.source.host:
        raise InvalidArgument(
            f"{where}: from: the host reaches every container, whatever policies say", remedy="leave the entry out"
        )
    if not any(p.endpoints or p.anybody for p in (made.source, made.target)):
        raise InvalidArgument(
            f"{where}: neither side is a container of netloom: nothing of it passes here",
            remedy="choose containers, labels or a network in from: or to:",
        )
    if made.target.name and any(p.first != p.last or p.proto == "icmp" for p in made.ports):
        raise InvalidArgument(
            f"{where}: ports: with a name single ports are known", remedy="write each of them, or none for all"
        )
    return made


def peer(document: Any, where: str) -> Peer:
    """One side of an entry. Raises InvalidArgument."""
    if document is None or document == "any":
        return Peer()
    if not isinstance(document, Mapping):
        raise InvalidArgument(f"{where}: it is no mapping", remedy=f"write one of {', '.join(_KEYS)} below it")
    _refuse_unknown(document, _KEYS, where)
    alone = [key for key in ("cidr", "name", "host") if document.get(key)]
    if len(alone) > 1 or (alone and len(document) > 1):
        raise InvalidArgument(f"{where}: {alone[0]} stands alone", remedy="write an entry for each")
    host = document.get("host", False)
    if not isinstance(host, bool):
        raise InvalidArgument(f"{where}: host: {host!r} is no boolean", remedy="write host: true")
    found = Peer(
        container=_text(document, "container", where),
        labels=_labels(document.get("label"), where),
        network=_text(document, "network", where),
        cidr=cidr(_text(document, "cidr", where), where),
        name=dns_name(_text(document, "name", where), where),
        host=host,
    )
    if found.anybody:
        raise InvalidArgument(f"{where}: it chooses nobody", remedy="leave it out for everybody")
    return found


def ports(document: Any, where: str) -> tuple[PortRange, ...]:
    """Ports of an entry; none are all. Raises InvalidArgument."""
    if document is None:
        return ()
    words = document if isinstance(document, list) else [document]
    if not words:
        raise InvalidArgument(f"{where}: ports: none are given", remedy="leave ports: out for all")
    return tuple(dict.fromkeys(port(str(word), where) for word in words))


def port(word: str, where: str) -> PortRange:
    """`80`, `80/tcp`, `8000-8999/udp`, `tcp`. Raises InvalidArgument."""
    numbers, slash, proto = word.partition("/")
    if not slash and numbers in _PROTOCOLS:
        return PortRange(cast(Literal["tcp"], numbers))
    first, dash, last = numbers.partition("-")
    ends = (first, last if dash else first)
    proto = proto.lower() if slash else "tcp"
    good = all(end.isascii() and end.isdecimal() and len(end) < 6 and 0 < int(end) <= 65535 for end in ends)
    if not good or int(ends[0]) > int(ends[1]) or proto not in _PROTOCOLS[:3]:
        raise InvalidArgument(f"{where}: ports: {word!r} is no port", remedy=_PORTS_REMEDY)
    return PortRange(cast(Literal["tcp"], proto), int(ends[0]), int(ends[1]))


def cidr(text: str, where: str) -> str:
    """As a network address with its prefix length. Raises InvalidArgument."""
    if not text:
        return ""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        remedy = "write an address, or a network address and its prefix length: 192.0.2.0/24, 2001:db8::/32"
        raise InvalidArgument(f"{where}: cidr: {error}", remedy=remedy) from error


def dns_name(text: str, where: str) -> str:
    """In lower case, without the last dot. Raises InvalidArgument."""
    name = text.lower().removesuffix(".")
    if name and (len(name) > 253 or not _DNS.fullmatch(name)):
        raise InvalidArgument(f"{where}: name: {text!r} is no DNS name", remedy="write example.com or *.example.com")
    return name


def refuse_repeated(made: Policy) -> None:
    """Two entries that say the contrary of each other, or have one name. Raises InvalidArgument naming both."""
    names: dict[str, Entry] = {}
    said: dict[tuple[Peer, Peer, tuple[PortRange, ...]], Entry] = {}
    for one in made.entries:
        if one.name in names:
            raise InvalidArgument(f"policy {made.name}: two entries are called {one.name}", remedy="rename one of them")
        names[one.name] = one
        key = (one.source, one.target, tuple(sorted(one.ports, key=str)))
        other = said.setdefault(key, one)
        if other.allow != one.allow:
            raise InvalidArgument(
                f"policy {made.name}: entries {other.name} and {one.name} contradict each other ({one})",
                remedy="remove one of them; a denial that is to have exceptions is the default of a network",
            )


def _closed(document: Any, where: str) -> tuple[str, ...]:
    if document is None:
        return ()
    if not isinstance(document, Mapping) or any(value not in ("deny", "allow") for value in document.values()):
        raise InvalidArgument(f"{where}: default: {document!r}", remedy="write NETWORK: deny below it")
    return tuple(str(network) for network, value in document.items() if value == "deny")


def _list(document: Any, where: str) -> Sequence[Any]:
    if document is None:
        return ()
    if not isinstance(document, list):
        raise InvalidArgument(f"{where}: it is no list", remedy="begin each entry with '- '")
    return document


def _text(document: Mapping[str, Any], key: str, where: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str) or (key in document and not value):
        raise InvalidArgument(f"{where}: {key}: {value!r} is no text", remedy="write one name, in quotes if need be")
    return value.strip()


def _labels(document: Any, where: str) -> tuple[str, ...]:
    """`KEY`, `KEY=VALUE`, a list of those, or a mapping."""
    if document is None:
        return ()
    if isinstance(document, Mapping):
        document = [f"{key}={value}" for key, value in document.items()]
    words = document if isinstance(document, list) else [document]
    if not words or not all(isinstance(word, str) and word.partition("=")[0] for word in words):
        raise InvalidArgument(f"{where}: label: {document!r}", remedy="write KEY or KEY=VALUE, or a list of them")
    return tuple(sorted(set(words)))


def _refuse_unknown(document: Mapping[Any, Any], known: Sequence[str], where: str) -> None:
    for key in document:
        if key not in known:
            raise InvalidArgument(f"{where}: unknown key {key!r}", remedy=f"known are {', '.join(known)}")
