"""The scripts around the project, as far as they need no network."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"


def docker(folder: Path, version: str) -> Path:
    """A program named docker that says it is of this version; its folder."""
    folder.mkdir(parents=True)
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\necho "Docker version {version}, build 0000000"\n')
    program.chmod(0o755)
    return folder


def docker_cli(path: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{path}:/usr/bin:/bin", "XDG_CACHE_HOME": str(cache), "HOME": str(cache)}
    script = str(SCRIPTS / "docker-cli")
    return subprocess.run([script, "--cached"], env=environment, capture_output=True, text=True, check=False)


def cached(cache: Path) -> Path:
    return cache / "netloom" / "docker-cli" / "usr" / "bin"


@pytest.mark.parametrize("version", ["24.0.7", "28.5.2+dfsg4", "100.0.0"])
def test_a_recent_docker_on_path_is_taken(version: str, tmp_path: Path) -> None:
    found = docker(tmp_path / "bin", version)
    docker(cached(tmp_path), "28.0.0")
    done = docker_cli(found, tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, str(found))


def test_an_old_one_gives_way_to_the_cache(tmp_path: Path) -> None:
    found = docker(tmp_path / "bin", "20.10.24+dfsg1")
    assert docker_cli(found, tmp_path).returncode == 1
    docker(cached(tmp_path), "28.0.0")
    assert docker_cli(found, tmp_path).stdout.strip() == str(cached(tmp_path))


def test_without_any_the_remedy_is_named(tmp_path: Path) -> None:
    found = docker(tmp_path / "bin", "1.13.1")
    done = docker_cli(found, tmp_path)
    assert done.returncode == 1
    assert "run scripts/setup" in done.stderr


def plugin(folder: Path, version: str) -> Path:
    """A compose plug-in that says it is of this version; the folder that it lies in."""
    plugins = folder / "docker" / "cli-plugins"
    plugins.mkdir(parents=True)
    program = plugins / "docker-compose"
    program.write_text(f'#!/bin/sh\n[ "$*" = "version --short" ] && echo "{version}"\n')
    program.chmod(0o755)
    return plugins


def compose(folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "NETLOOM_PLUGIN_FOLDERS": str(folder), "XDG_CACHE_HOME": str(cache)}
    script = str(SCRIPTS / "compose")
    return subprocess.run([script, "--cached"], env=environment, capture_output=True, text=True, check=False)


def test_the_machines_compose_plugin_comes_before_the_cache(tmp_path: Path) -> None:
    machine = plugin(tmp_path / "lib", "2.40.3-3")
    cache = plugin(tmp_path / "netloom/docker-compose/usr/libexec", "v2.26.1")
    assert compose(tmp_path / "lib", tmp_path).stdout.strip() == str(machine)
    assert compose(tmp_path / "no", tmp_path).stdout.strip() == str(cache)


def test_compose_of_version_1_is_not_taken(tmp_path: Path) -> None:
    plugin(tmp_path / "lib", "1.29.2")
    done = compose(tmp_path / "lib", tmp_path)
    assert done.returncode == 1
    assert "run scripts/setup" in done.stderr


def test_the_footprint_shows_a_process_that_was_left() -> None:
    mark = uuid4().hex
    environment = {**os.environ, "NETLOOM_RUN": mark}
    with subprocess.Popen(["sleep", "100"], env=environment, start_new_session=True) as left:
        try:
            shown = subprocess.run([SCRIPTS / "footprint", mark], capture_output=True, text=True, check=True).stdout
        finally:
            left.kill()
    assert f"process {left.pid} sleep 100" in shown
    assert "link lo\n" in shown
    again = subprocess.run([SCRIPTS / "footprint", mark], capture_output=True, text=True, check=True).stdout
    assert "process" not in again


def test_the_lab_kernels_key_follows_its_configuration(tmp_path: Path) -> None:
    """The key names the file in the cache: another configuration is another kernel."""

    def key(script: Path) -> str:
        return subprocess.run([script, "--key"], capture_output=True, text=True, check=True).stdout.strip()

    script = SCRIPTS / "kernel-lab"
    other = tmp_path / "kernel-lab"
    other.write_text(script.read_text().replace(" MACVLAN ", " MACVLAN=n ", 1))
    other.chmod(0o755)
    assert len(key(script)) == 12
    assert key(script) == key(script) != key(other)


def test_the_lab_finds_every_file_that_depends_on_the_kernel() -> None:
    """It looks for the marks in tests' files, and takes the driver kit, by its name, out of the drivers' part."""
    root = SCRIPTS.parent
    marked = [
        path.relative_to(root)
        for folder in ("src", "tests")
        for path in (root / folder).rglob("*.py")
        if re.search(r"mark\.(kernel|cgroups)\b", path.read_text())
    ]
    assert Path("tests/drivers/test_kit.py") in marked
    assert [path for path in marked if "test" not in path.name] == []
    assert [path for path in marked if path.parts[1] == "drivers" and "kit" in str(path)] == [
        Path("tests/drivers/test_kit.py")
    ]
