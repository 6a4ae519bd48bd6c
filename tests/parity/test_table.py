"""docs/cli.md against the docker CLI's own list of commands, the transcripts, and a daemon that refuses."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from transcript import read

from netloom.testing.daemons import Daemon

ROOT = Path(__file__).parent.parent.parent
GROUPS = ("container", "image", "volume", "system")
# Commands that are not about the groups above: the CLI's own matters, plug-ins of it, and swarm.
OTHERS = ("builder", "buildx", "checkpoint", "compose", "context", "manifest", "network", "plugin", "trust")
SWARM = ("config", "node", "secret", "service", "stack", "swarm")
REFUSED = {
    "container commit": ("commit", "none", "image:1"),
    "image build": ("build", "-"),
    "image push": ("push", "host:latest"),
    "search": ("search", "anything"),
}


class Row(NamedTuple):
    """One line of the table."""

    forms: list[str]
    answer: str
    transcripts: list[str]


def rows() -> list[Row]:
    found = re.findall(r"^\| (`.*?) \| (.*?) \| (.*?) ?\|$", (ROOT / "docs/cli.md").read_text(), re.MULTILINE)
    return [
        Row(re.findall(r"`([a-z ]+)`", forms), answer, [name for name in transcripts.split(", ") if name])
        for forms, answer, transcripts in found
    ]


def listed(*group: str) -> list[str]:
    """The commands that the CLI's help lists."""
    text = subprocess.run(["docker", *group, "--help"], capture_output=True, text=True, check=True).stdout
    sections = re.findall(r"^[A-Z][a-z]*(?: [A-Z][a-z]*)?:\n((?:  [a-z].*\n)+)", text, re.MULTILINE)
    return re.findall(r"^  ([a-z]+)\*? ", "".join(sections), re.MULTILINE)


def commands(name: str) -> Iterator[str]:
    """The docker commands of a transcript, with their words."""
    for path in ROOT.glob(f"tests/*/testdata/{name}.transcript"):
        for command, _ in read(path):
            kind, _, rest = command.partition(" ")
            if kind in ("sh", "tty"):
                yield from re.findall(r"docker ([a-z][^|;&]*)", rest)
            elif kind == "events":
                yield rest
            elif kind != "api":
                yield command


def test_every_command_has_its_line() -> None:
    forms = [form for row in rows() for form in row.forms]
    assert len(forms) == len(set(forms))
    wanted = {f"{group} {command}" for group in GROUPS for command in listed(group)}
    wanted |= set(listed()) - {*GROUPS, *OTHERS, *SWARM}
    assert len(wanted) > 70
    assert set(forms) == wanted


@pytest.mark.parametrize("row", [row for row in rows() if row.transcripts], ids=lambda row: row.forms[0])
def test_what_is_the_same_has_been_compared(row: Row) -> None:
    assert row.answer.startswith("same")
    for name in row.transcripts:
        used = [f"{command} " for command in commands(name)]
        assert any(command.startswith(f"{form} ") for command in used for form in row.forms), name


def test_nothing_counts_as_the_same_without_a_transcript() -> None:
    without = {row.forms[0] for row in rows() if not row.transcripts}
    assert without == {*REFUSED, "logout"}


def test_what_is_refused_says_so(daemon: Daemon) -> None:
    for name, words in REFUSED.items():
        row = next(row for row in rows() if name in row.forms)
        assert row.answer.startswith("refused")
        done = daemon.docker_run(*words, stdin="FROM scratch\n")
        assert done.returncode != 0, name
        assert "is not supported by netloom" in done.stderr or "not supported by netloom yet" in done.stderr, done
