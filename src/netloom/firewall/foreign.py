"""Other firewalls on this host: whose chain drops what netloom lets through, and what passes it.

A drop elsewhere cannot be overruled. Some owners of a dropping FORWARD chain keep a place for the rules of others;
one constant rule there accepts what carries our mark (`forward.OURS`), whatever networks come and go. Where the owner
is not known, or keeps no such place, nothing is changed: the remedy is told. firewalld knows interfaces, not marks:
there each bridge is put into a zone that accepts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from netloom.firewall.forward import OURS
from netloom.firewall.rules import TABLE

Command = tuple[str, ...]

LOOK: Command = ("nft", "-j", "list", "chains")  # its output is what `drops` reads; chains only, rules may be many
COMMENT = "netloom"

_PLACES = {  # chain kept for others: its owner
    "DOCKER-USER": "Docker",
    "ufw-user-forward": "ufw",
    "ufw6-user-forward": "ufw",  # of ip6tables
}
_IPTABLES = {"ip": "iptables", "ip6": "ip6tables"}
_MARKED = ("-m", "mark", "--mark", f"{OURS:#x}/{OURS:#x}", "-m", "comment", "--comment", COMMENT, "-j", "ACCEPT")


class Drop(Struct, frozen=True):
    """A forward chain of somebody else that drops by default.

    `check` succeeds when the rule stands; `add` and `remove` put it there and take it away. With `zoned` each bridge
    is put into a zone instead. Without either netloom changes nothing: `remedy` says what a person may do then.
    """

    owner: str  # empty: not known
    chain: str  # "ip filter FORWARD"
    check: Command = ()
    add: Command = ()
    remove: Command = ()
    zoned: bool = False
    remedy: str = ""


def drops(chains: str | bytes) -> list[Drop]:
    """Read the output of `LOOK`. Raises ValueError when it is not that."""
    found = [item["chain"] for item in msgspec.json.decode(chains, type=_Listing).nftables if "chain" in item]
    names = {(c["family"], c["table"], c["name"]) for c in found}
    return [_drop(c, names) for c in found if _is_dropping(c)]


class _Listing(Struct):
    nftables: list[dict[str, Any]]


def _is_dropping(chain: Mapping[str, Any]) -> bool:
    if chain.get("hook") != "forward" or chain["family"] not in ("ip", "ip6", "inet") or chain["table"] == TABLE:
        return False
    # firewalld's chain has policy accept and ends in a reject.
    return chain.get("policy") == "drop" or chain["table"] == "firewalld"


def _drop(chain: Mapping[str, Any], names: set[tuple[str, str, str]]) -> Drop:
    family, table, name = chain["family"], chain["table"], chain["name"]
    label = f"{family} {table} {name}"
    for place, owner in _PLACES.items():
        if (family, table, place) in names and family in _IPTABLES:
            program = (_IPTABLES[family], "-w")
            return Drop(
                owner=owner,
                chain=label,
                check=(*program, "-C", place, *_MARKED),
                add=(*program, "-I", place, *_MARKED),
                remove=(*program, "-D", place, *_MARKED),
            )
    if table == "firewalld":
        return Drop(
            owner="firewalld",
            chain=label,
            zoned=True,
            remedy="put the bridges into a zone of target ACCEPT: firewall-cmd --zone=trusted --add-interface=BRIDGE",
        )
    return Drop(
        owner="",
        chain=label,
        remedy=f"accept packets that carry the mark {OURS:#x} in chain {label}: meta mark & {OURS:#x} != 0 accept",
    )
