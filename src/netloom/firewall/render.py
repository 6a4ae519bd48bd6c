"""The ruleset as text for `nft -f`, loaded once; elements as text for people and for the load."""

from __future__ import annotations

from collections.abc import Iterable

from netloom.firewall.elements import family_name, text
from netloom.firewall.rules import TABLE
from netloom.firewall.ruleset import TARGET, Chain, Ruleset, Set, Table
from netloom.model.desired import Element

FAMILIES = ("inet", "bridge", "ip", "ip6")  # of all tables that any ruleset of ours may have had


def load(ruleset: Ruleset, elements: Iterable[Element] = ()) -> str:
    """One transaction that puts the tables and their elements in place of whatever stands under their names."""
    lines = []
    for family in FAMILIES:
        lines += [f"add table {family} {TABLE}", f"delete table {family} {TABLE}"]
    lines.append(listing(ruleset))
    lines += [f"add element {family_name(e)} {e.table} {e.set} {{ {text(e)} }}" for e in elements]
    return "\n".join(lines) + "\n"


def listing(ruleset: Ruleset) -> str:
    """The tables as nft reads and lists them, with the reason beside each rule that has one."""
    return "\n".join(_table(table, ruleset.version) for table in ruleset.tables)


def _table(table: Table, version: str) -> str:
    parts = [_set(s) for s in table.sets]
    parts.append(f"\tset {version} {{\n\t\ttype ifname\n\t}}\n")
    parts += [_chain(c) for c in table.chains]
    return f"table {table.family} {table.name} {{\n" + "\n".join(parts) + "}\n"


def _set(s: Set) -> str:
    kind, data = ("map", f" : {' . '.join(s.data)}") if s.data else ("set", "")
    key = " . ".join(s.fields)
    if "nd_target" in s.fields:
        words, key = "typeof", " . ".join(TARGET if field == "nd_target" else "iifname" for field in s.fields)
    else:
        words = "type"
    more = f"\n\t\tflags {s.flags}" if s.flags else ""
    more += "\n\t\tcounter" if s.counted else ""
    return f"\t# {s.about}\n\t{kind} {s.name} {{\n\t\t{words} {key}{data}{more}\n\t}}\n"


def _chain(c: Chain) -> str:
    lines = [f"\t# {c.about}", f"\tchain {c.name} {{"]
    if c.hook:
        lines.append(f"\t\ttype {c.hook.type} hook {c.hook.hook} priority {c.hook.priority}; policy accept;")
    lines += [f"\t\t{rule.text}" + (f"  # {rule.why}" if rule.why else "") for rule in c.rules]
    return "\n".join(lines) + "\n\t}\n"
