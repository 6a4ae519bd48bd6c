"""compose against a live daemon prints what it prints against a real Docker.

To record: COMPOSE_FILE=…/shop.yaml COMPOSE_PROJECT_NAME=shop DOCKER_CONFIG=… python tests/parity/transcript.py
unix:///… tests/compose/testdata/shop.transcript
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from transcript import differences

from netloom.testing.daemons import Daemon

TRANSCRIPTS = sorted((Path(__file__).parent / "testdata").glob("*.transcript"))


@pytest.mark.timeout(300)  # version 1 takes a second to start, many times over
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_compose_prints_the_same(daemon: Daemon, project: Callable[[str], None], path: Path) -> None:
    project(path.stem.partition("-")[0])
    found = list(differences(f"unix://{daemon.socket}", path))
    assert not found, f"{len(found)} of {path.name}:\n" + "\n".join(found)
    assert daemon.json("GET", "/containers/json?all=1") == []
    assert {n["Name"] for n in daemon.json("GET", "/networks")} == {"bridge", "host", "none"}
