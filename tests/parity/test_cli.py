"""The real docker CLI against a live daemon prints what it prints against a real Docker."""

from __future__ import annotations

from pathlib import Path

import pytest
from transcript import differences

from netloom.testing.daemons import Daemon
from netloom.testing.kinds import need

TRANSCRIPTS = sorted((Path(__file__).parent / "testdata").glob("*.transcript"))
NEEDS = {  # kinds of links that a kernel may lack
    "macvlan": ("macvlan",),
    "macvlan-modes": ("macvlan",),
    "passthru": ("macvlan",),
    "ipvlan": ("ipvlan", "vlan", "macvlan"),
    "ipvlan-flags": ("ipvlan",),
}
EACH = [pytest.param(path, marks=[pytest.mark.kernel] if path.stem in NEEDS else []) for path in TRANSCRIPTS]


@pytest.mark.parametrize("path", EACH, ids=lambda path: path.stem)
def test_the_docker_cli_prints_the_same(fresh: Daemon, path: Path) -> None:
    for kind in NEEDS.get(path.stem, ()):
        need(kind)
    found = list(differences(f"unix://{fresh.socket}", path))
    assert not found, f"{len(found)} of {path.name}:\n" + "\n".join(found)
    assert fresh.json("GET", "/containers/json?all=1") == []
    assert {n["Name"] for n in fresh.json("GET", "/networks")} == {"bridge", "host", "none"}


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) > 5
