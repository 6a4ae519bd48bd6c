"""The ruleset as text: golden, accepted by the kernel, and the same after it was loaded twice."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from netloom.firewall.elements import element
from netloom.firewall.render import listing, load
from netloom.firewall.rules import table
from netloom.firewall.ruleset import Chain, Rule
from netloom.testing.golden import check_golden
from netloom.testing.hosts import Netns

TESTDATA = Path(__file__).parent / "testdata"
DOCUMENT = Path(__file__).parents[3] / "docs" / "firewall.md"


def test_listing() -> None:
    check_golden(TESTDATA / "ruleset.nft", listing(table()))


def test_the_document_shows_the_chains_as_they_are() -> None:
    """docs/firewall.md: everything between the fences of its last block is generated."""
    before, _, _ = DOCUMENT.read_text().partition("```nft\n")
    check_golden(DOCUMENT, f"{before}```nft\n{listing(table())}```\n")


def test_the_version_follows_rules_and_sets_but_not_comments() -> None:
    rules = table()
    first = rules.chains[0]

    def version(*changed: Rule) -> str:
        chain = Chain(first.name, changed, first.hook)
        return msgspec.structs.replace(rules, chains=(chain, *rules.chains[1:])).version

    assert version(*first.rules) == rules.version
    assert version(*(msgspec.structs.replace(r, why="another reason") for r in first.rules)) == rules.version
    assert version(*first.rules[1:]) != rules.version
    assert msgspec.structs.replace(rules, sets=rules.sets[1:]).version != rules.version
    assert re.fullmatch("version_[0-9a-f]{12}", rules.version)


@pytest.mark.root
def test_loading_again_replaces_rules_and_elements() -> None:
    with Netns() as host:
        host.run("nft", "-f", "-", stdin="table inet netloom { set version_old { type ifname; }\n }")
        host.run("nft", "add", "table", "inet", "others")
        host.run("nft", "-f", "-", stdin=load(table(), [element("bridges", ("br-old",))]))
        host.run("nft", "-f", "-", stdin=load(table(), [element("bridges", ("br-new",))]))
        shown = host.run("nft", "list", "ruleset")
        assert "br-new" in shown
        assert "br-old" not in shown
        assert "version_old" not in shown
        assert table().version in shown
        assert "table inet others" in shown
        assert shown.count("hook forward") == 2
