"""compose of both versions against a daemon of a test's own, with nothing of the user's configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host

ROOT = Path(__file__).parent.parent.parent
TESTDATA = Path(__file__).parent / "testdata"


@pytest.fixture
def host() -> Iterator[Host]:
    with Host(uplink=True) as host:
        yield host


@pytest.fixture
def daemon(host: Host, tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(host, tmp_path / "d") as daemon:
        yield daemon


@pytest.fixture
def project(daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a file of testdata, by its stem, the project that compose speaks about."""
    plugins = tmp_path / "docker" / "cli-plugins"
    plugins.mkdir(parents=True)
    found = subprocess.run([ROOT / "scripts/compose", "--cached"], capture_output=True, text=True, check=True)
    (plugins / "docker-compose").symlink_to(Path(found.stdout.strip(), "docker-compose"))
    for name in [name for name in os.environ if name.startswith(("COMPOSE_", "DOCKER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "999")  # version 1 wraps its tables where a runner says how wide they may be
    monkeypatch.setenv("DOCKER_CONFIG", str(plugins.parent))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{daemon.socket}")

    def choose(stem: str) -> None:
        monkeypatch.setenv("COMPOSE_FILE", str(TESTDATA / f"{stem}.yaml"))
        monkeypatch.setenv("COMPOSE_PROJECT_NAME", stem)

    return choose
