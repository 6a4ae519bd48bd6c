"""Each step's one-line text: logs, inspect and tests share this printer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netloom.model.desired import (
    Address,
    Bridge,
    Child,
    Desired,
    Element,
    Loop,
    Neighbour,
    Parent,
    Port,
    Route,
    Shim,
    Step,
    Sysctl,
    Veth,
)


def subject(step: Step) -> str:
    """What was done to which object, for an error's sentence: `add link br-3f0c…`."""
    kind, name, *_ = columns(step.what)
    return f"{step.verb} {kind} {name}"


def line(step: Step) -> str:
    """One step as one line, not aligned."""
    return " ".join((step.verb, *(cell for cell in columns(step.what) if cell)))


def table(steps: Iterable[Step]) -> str:
    """The steps as aligned lines, each with its end of line; empty for none."""
    return aligned([(step.verb, *columns(step.what)) for step in steps])


def listing(objects: Iterable[Desired]) -> str:
    """Objects as aligned lines, sorted: the same whatever the order of `objects`."""
    return aligned(sorted(columns(what) for what in objects))


def columns(what: Desired) -> tuple[str, str, str, str]:
    """Kind, name, place and the rest of an object."""
    match what:
        case Bridge():
            rest = f"bridge index {what.index} mac {what.mac} mtu {what.mtu} alias {what.alias!r}"
            return "link", what.name, "", rest + _flag(" ipv6", what.ipv6) + _flag(" down", not what.up)
        case Veth():
            return "link", what.name, _at(what.master), _veth(what)
        case Parent():
            kind = f"vlan {what.vlan} on {what.base}" if what.base else "dummy"
            rest = f"{kind} index {what.index} alias {what.alias!r}"
            return "link", what.name, "", rest + _flag(" down", not what.up)
        case Loop():
            rest = (
                f"veth index {what.index} mac {what.mac} mtu {what.mtu} peer {what.peer_name} index {what.peer_index}"
            )
            return "link", what.name, "", rest + _flag(" down", not what.up)
        case Shim():
            rest = f"{what.kind} of the host index {what.index} alias {what.alias!r}" + _flag(
                f" mac {what.mac}", bool(what.mac)
            )
            told = rest + _flag(" ipv6", what.ipv6) + _flag(" down", not what.up)
            return "link", what.name, _at(what.parent), told
        case Port():
            return "port", what.link, _at(what.master), ""
        case Child():
            return "link", what.name, _at(what.parent, what.sandbox), _child(what)
        case Address():
            return "address", what.address, _at(what.link, what.sandbox), ""
        case Route():
            return "route", what.destination, _at(what.link, what.sandbox), f"via {what.via}" if what.via else ""
        case Neighbour():
            return "neighbour", what.address, _at(what.link), f"mac {what.mac}"
        case Sysctl():
            return "sysctl", what.path, _at("", what.sandbox), f"= {what.value}"
        case Element():
            return "element", f"{what.table} {what.set}", "", _element(what)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells in columns of equal width."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width).rstrip() + "\n"
        for row in rows
    )


def _veth(what: Veth) -> str:
    peer = f" peer {what.peer_name} index {what.peer_index} mac {what.peer_mac}" if what.peer_name else ""
    return (
        f"veth index {what.index} mac {what.mac} mtu {what.mtu}"
        + _flag(" hairpin", what.hairpin)
        + _flag(" down", not what.up)
        + peer
        + _flag(" ipv6", what.peer_ipv6)
        + (f" in {what.sandbox[:12]}" if what.sandbox else "")
    )


def _child(what: Child) -> str:
    return (
        f"{what.kind} {what.mode}"
        + _flag(f" {what.flag}", bool(what.flag))
        + f" index {what.index}"
        + _flag(f" mac {what.mac}", bool(what.mac))
        + _flag(f" mtu {what.mtu}", bool(what.mtu))
        + _flag(" ipv6", what.ipv6)
    )


def _element(what: Element) -> str:
    key = what.key_data.hex() + (f"-{what.key_end.hex()}" if what.key_end else "")
    if what.verdict is not None:
        return f"{key} : {what.verdict}"
    return key if what.value is None else f"{key} : {what.value.hex()}"


def _at(link: str, sandbox: str = "") -> str:
    return " ".join(([f"dev {link}"] if link else []) + ([f"in {sandbox[:12]}"] if sandbox else []))


def _flag(word: str, on: bool) -> str:
    return word if on else ""
