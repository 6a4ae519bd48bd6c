"""The ruleset as text: golden, accepted by the kernel, and the same after it was loaded twice."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from netloom.firewall.elements import element
from netloom.firewall.render import listing, load
from netloom.firewall.rules import ruleset
from netloom.firewall.ruleset import Chain, Rule, Ruleset, Table
from netloom.testing.golden import check_golden
from netloom.testing.hosts import Netns

TESTDATA = Path(__file__).parent / "testdata"
DOCUMENT = Path(__file__).parents[3] / "docs" / "firewall.md"
PICTURE = DOCUMENT.with_suffix(".svg")


def test_listing() -> None:
    check_golden(TESTDATA / "ruleset.nft", listing(ruleset()))


def test_listing_where_the_hosts_input_decides() -> None:
    check_golden(TESTDATA / "cooperate.nft", listing(ruleset(cooperate=True)))


def test_the_document_shows_the_chains_as_they_are() -> None:
    """docs/firewall.md: everything between the fences of its last block is generated."""
    before, _, _ = DOCUMENT.read_text().partition("```nft\n")
    check_golden(DOCUMENT, f"{before}```nft\n{listing(ruleset())}```\n")


def test_the_picture_shows_each_chain_at_its_hook() -> None:
    """docs/firewall.svg: a box of class `chain` has the chain's name, its place and what it decides as texts."""
    hooked: dict[str, list[tuple[str, Chain]]] = {}
    for table in ruleset(cooperate=True).tables:
        for one in table.chains:
            if one.hook:
                hooked.setdefault(one.name, []).append((table.family, one))
    wanted = set()
    for name, chains in hooked.items():
        families, (_, one) = ", ".join(family for family, _ in chains), chains[0]
        assert one.hook is not None
        wanted.add((name, f"{families} {one.hook.hook} {one.hook.priority}", one.about))
    boxes = ElementTree.parse(PICTURE).iterfind(".//{*}g[@class='chain']")
    texts = [[text.text or "" for text in box.iterfind("{*}text")] for box in boxes]
    assert sorted((name, place, " ".join(about)) for name, place, *about in texts) == sorted(wanted)


def test_the_version_follows_rules_and_sets_but_not_comments() -> None:
    rules = ruleset()
    replace = msgspec.structs.replace

    def version(place: int, table: Table) -> str:
        return Ruleset((*rules.tables[:place], table, *rules.tables[place + 1 :])).version

    for place, table in enumerate(rules.tables):
        first = table.chains[0]

        def changed(*others: Rule, table: Table = table, first: Chain = first) -> Table:
            return replace(table, chains=(replace(first, rules=others), *table.chains[1:]))

        assert version(place, changed(*first.rules)) == rules.version
        assert version(place, changed(*(replace(r, why="another reason") for r in first.rules))) == rules.version
        assert version(place, changed(*first.rules[1:])) != rules.version
        assert version(place, replace(table, sets=table.sets[1:])) != rules.version
    assert re.fullmatch("version_[0-9a-f]{12}", rules.version)


@pytest.mark.root
def test_loading_again_replaces_rules_and_elements() -> None:
    with Netns() as host:
        host.run("nft", "-f", "-", stdin="table inet netloom { set version_old { type ifname; }\n }")
        host.run("nft", "add", "table", "inet", "others")
        host.run("nft", "-f", "-", stdin=load(ruleset(), [element("bridges", ("br-old",))]))
        host.run("nft", "-f", "-", stdin=load(ruleset(), [element("bridges", ("br-new",))]))
        shown = host.run("nft", "list", "ruleset")
        assert "br-new" in shown
        assert "br-old" not in shown
        assert "version_old" not in shown
        assert ruleset().version in shown
        assert "table inet others" in shown
        assert shown.count("hook forward") == 2
        assert shown.count(ruleset().version) == 2
