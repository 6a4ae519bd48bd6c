"""The documents against the tree: links lead somewhere, and lists of options are those of the code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from netloom.daemon.options import OPTIONS
from netloom.drivers.bridge_options import KNOWN

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
TRANSLATED = [("README.md", "README.zh-TW.md"), ("docs/user-guide.md", "docs/user-guide.zh-TW.md")]


def anchors(page: Path) -> set[str]:
    """Headings as GitHub spells them in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Files and anchors that a page links to, those of the web left out."""
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield (page.parent / file if file else page), anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {target.name}#{anchor}"


@pytest.mark.parametrize(("original", "translation"), TRANSLATED)
def test_a_translation_has_the_same_shape(original: str, translation: str) -> None:
    def shape(name: str) -> list[str]:
        text = (ROOT / name).read_text()
        return [re.match(r"#+|\||    |- |", line)[0] for line in text.splitlines()]  # type: ignore[index]

    assert shape(original) == shape(translation)


def test_every_option_of_a_bridge_is_documented() -> None:
    text = (ROOT / "docs/drivers.md").read_text()
    assert not [key for key in KNOWN if f"`{key}" not in text]


def test_every_option_of_the_daemon_that_is_named_exists() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    flags = {option.switch for option in OPTIONS} | {"--config", "--daemon-json", "--validate", "--help"}
    documented = set(re.findall(r"`netloom daemon[^`]*?(--[a-z-]+)", text)) | set(
        re.findall(r"--default-[a-z-]+", text)
    )
    assert documented <= flags


def test_the_unit_lets_containers_outlive_the_daemon() -> None:
    unit = (ROOT / "packaging/netloom.service").read_text().splitlines()
    assert {"Type=notify", "KillMode=process", "Delegate=yes", "RuntimeDirectoryPreserve=yes"} <= set(unit)


def test_run_time_needs_few_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [re.match(r"[A-Za-z]+", need)[0] for need in project["dependencies"]] == [
        "aiohttp",
        "jeepney",
        "msgspec",
        "PyYAML",
        "uvloop",
    ]  # type: ignore[index]
