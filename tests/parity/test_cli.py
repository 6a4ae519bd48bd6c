"""The real docker CLI against a live daemon prints what it prints against a real Docker."""

from __future__ import annotations

from pathlib import Path

import pytest
from transcript import differences

from netloom.testing.daemons import Daemon

TRANSCRIPTS = sorted((Path(__file__).parent / "testdata").glob("*.transcript"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_docker_cli_prints_the_same(fresh: Daemon, path: Path) -> None:
    found = list(differences(f"unix://{fresh.socket}", path))
    assert not found, f"{len(found)} of {path.name}:\n" + "\n".join(found)
    assert fresh.json("GET", "/containers/json?all=1") == []
    assert {n["Name"] for n in fresh.json("GET", "/networks")} == {"bridge", "host", "none"}


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) > 5
