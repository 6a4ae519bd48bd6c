"""The ruleset as text for `nft -f`, loaded once; elements as text for people and for the load."""

from __future__ import annotations

from collections.abc import Iterable

from netloom.firewall.elements import text
from netloom.firewall.ruleset import Chain, Set, Table
from netloom.model.desired import Element


def load(table: Table, elements: Iterable[Element] = ()) -> str:
    """One transaction that puts the table and its elements in place of whatever stands under its name."""
    name = f"inet {table.name}"
    lines = [f"add table {name}", f"delete table {name}", listing(table)]
    lines += [f"add element {name} {e.set} {{ {text(e)} }}" for e in elements]
    return "\n".join(lines) + "\n"


def listing(table: Table) -> str:
    """The table as nft reads and lists it, with the reason beside each rule that has one."""
    parts = [_set(s) for s in table.sets]
    parts.append(f"\tset {table.version} {{\n\t\ttype ifname\n\t}}\n")
    parts += [_chain(c) for c in table.chains]
    return f"table inet {table.name} {{\n" + "\n".join(parts) + "}\n"


def _set(s: Set) -> str:
    kind, data = ("map", f" : {' . '.join(s.data)}") if s.data else ("set", "")
    return f"\t# {s.about}\n\t{kind} {s.name} {{\n\t\ttype {' . '.join(s.fields)}{data}\n\t}}\n"


def _chain(c: Chain) -> str:
    lines = [f"\tchain {c.name} {{"]
    if c.hook:
        lines.append(f"\t\ttype {c.hook.type} hook {c.hook.hook} priority {c.hook.priority}; policy accept;")
    lines += [f"\t\t{rule.text}" + (f"  # {rule.why}" if rule.why else "") for rule in c.rules]
    return "\n".join(lines) + "\n\t}\n"
