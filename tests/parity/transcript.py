"""Transcripts of the docker CLI: commands, and what a real Docker printed, times and ids put aside.

A line that begins with `$ ` is a command for the docker CLI. Its first word may also be `sh` (a line for bash, in which
`docker` speaks to the daemon), `tty` (the same under a terminal of 33 rows and 101 columns, where INPUT? is answered by
a line and DETACH? by the detach keys), `api` (METHOD PATH BODY, a raw request) or `events` (a docker command and the
events that it caused). What was printed follows; `[N]` tells an exit code that is not 0.

    python tests/parity/transcript.py unix:///var/run/docker.sock tests/parity/testdata/*.transcript

records anew what that Docker answers; the difference wants to be read.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import pty
import re
import select
import shlex
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LIMIT = 30.0  # seconds for one command
_VOLATILE = {
    "time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d| [+-]\d{4} \w+)",
    "digest": r"sha256:[0-9a-f]{64}",
    "id": r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b",
    "mac": r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b",
    "nano": r'\b1[6-9]\d{17}\b|(?<="time":)\d{10}\b|(?<="Created": )\d{10}\b',
    "age": r"\b(?:Less than a second|About an? \w+|\d+ (?:second|minute|hour)s?)(?: ago)?",
    "port": r'(?<=:)(?:3[2-9]|[45]\d|60)\d{3}\b|(?<="HostPort":")(?:3[2-9]|[45]\d|60)\d{3}(?=")',
    "pid": r'(?<="Pid": )\d+',
}
_WORDS = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _VOLATILE.items()))
_LABELS = re.compile(r'("Labels":")([^"]+,[^"]+)')  # the CLI prints them in the random order of a Go map
_UNNUMBERED = ("time", "nano", "age")
# What differs by name alone (docs/differences.md), by the kernel's counting, or by the version of a program inside.
_SAME = (
    (r'"/[^"\s]*(?=/containers/[0-9a-f]{64}/)', '"<root>'),
    (r"-json\.log\b", ".log"),
    (r'"SandboxKey": ?"/[^"]+"', '"SandboxKey": "<namespace>"'),
    (r'(?m)^ *"(?:Lower|Merged|Upper|Work)Dir": .*\n', ""),
    (r'("ID": "[^"]+"),\n( *\})', r"\1\n\2"),
    (r"\b(?:crun|runc)\b", "<runtime>"),
    (r'"CgroupnsMode": "(?:host|private)"', '"CgroupnsMode": "<mode>"'),
    (r"\b(?:docker0|netloom0)\b", "<bridge>"),
    (r"@if\d+", "@if<n>"),
    (r" qlen \d+", ""),
    (r" proto kernel_l[lo]\b", ""),
    (r"\bfe80::[0-9a-f:]+", "<link-local>"),
    (r"(?<=scope link) tentative\b", ""),
    (r"time=[\d.]+ ms", "time=<t>"),
    (r"(packet loss, time) \d+ms", r"\1 <t>"),
    (r"(?m)^rtt .*", "rtt"),
    (r"/dev/pts/\d", "/dev/pts/<n>"),
    (r'"execDuration":"\d+"', '"execDuration":"<n>"'),
    (r"(?<=endpoint )[a-z]+_[0-9a-z]+(?= \()", "<name>"),
    (r"(?m)^(UID|root)( +(\d\d:\d\d|\d+|PID|PPID|C|STIME)){4}", r"\1 <process>"),
    (r" {3,}", "   "),
)


class Exchange(NamedTuple):
    """A command and what was printed."""

    command: str
    printed: str


def read(path: Path) -> list[Exchange]:
    """The exchanges of a transcript."""
    parts = re.split(r"(?m)^\$ (.*)\n", path.read_text())[1:]
    return [Exchange(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]


def differences(daemon: str, path: Path) -> Iterator[str]:
    """Run all commands of a transcript against a daemon (unix://PATH); every one that prints something else.

    After an error sentence of Docker's own ours may go on with `: ` and a remedy.
    """
    for command, expected in read(path):
        printed = run(daemon, command)
        if printed != expected and not _only_adds_remedies(printed, expected):
            yield f"$ {command}\n--- Docker\n{expected}--- netloom\n{printed}"


def run(daemon: str, command: str) -> str:
    """Run one command; what it printed, plain."""
    kind, _, rest = command.partition(" ")
    environment = {**os.environ, "DOCKER_HOST": daemon, "TERM": "xterm"}
    match kind:
        case "api":
            code, text = 0, _api(daemon, *rest.split(" ", 2))
        case "tty":
            code, text = _terminal(rest, environment)
        case "events":
            code, text = _events(rest, environment)
        case "sh":
            code, text = _program(["bash", "-c", rest], environment)
        case _:
            code, text = _program(["docker", *shlex.split(command)], environment)
    if text and not text.endswith("\n"):
        text += "\n"
    return plain(text + (f"[{code}]\n" if code else ""))


def plain(text: str) -> str:
    """What may differ replaced by words, numbered in the order in which they come."""
    seen: dict[str, str] = {}
    counts: dict[str, int] = {}

    def word(found: re.Match[str]) -> str:
        kind = str(found.lastgroup)
        if kind in _UNNUMBERED:
            return f"<{kind}>"
        value = found.group()[:12] if kind == "id" else found.group()
        if value not in seen:
            counts[kind] = counts.get(kind, 0) + 1
            seen[value] = f"<{kind}{counts[kind]}>"
        return seen[value]

    text = _LABELS.sub(_in_order, text)
    for pattern, replacement in _SAME:
        text = re.sub(pattern, replacement, text)
    return _WORDS.sub(word, text)


def _in_order(found: re.Match[str]) -> str:
    return found[1] + ",".join(sorted(found[2].split(",")))


def _only_adds_remedies(printed: str, expected: str) -> bool:
    ours, theirs = printed.splitlines(), expected.splitlines()
    return len(ours) == len(theirs) and all(
        mine == his or mine.startswith((f"{his}: ", f"{his}, ")) or ('"message"' in his and mine.startswith(his[:-1]))
        for mine, his in zip(ours, theirs, strict=True)
    )


def _program(words: list[str], environment: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, check=False, env=environment)
    return done.returncode, done.stdout + done.stderr


def _events(line: str, environment: dict[str, str]) -> tuple[int, str]:
    since = time.time()
    code, text = _program(["docker", *shlex.split(line)], environment)
    window = ["--since", f"{since:.6f}", "--until", f"{time.time() + 0.3:.6f}"]
    return code, text + _program(["docker", "events", *window, "--format", "{{json .}}"], environment)[1]


def _api(daemon: str, method: str, path: str, body: str = "") -> str:
    connection = http.client.HTTPConnection("docker", timeout=LIMIT)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(LIMIT)
        connection.sock.connect(daemon.removeprefix("unix://"))
        connection.request(method, path, body or None, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    try:
        text = json.dumps(json.loads(text), indent=1)
    except ValueError:
        pass
    return f"{answer.status}\n{text}"


def _terminal(line: str, environment: dict[str, str]) -> tuple[int, str]:
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
        os.execvpe("bash", ["bash", "-c", line], environment)
    output, deadline = b"", time.monotonic() + LIMIT
    answers = {b"INPUT?": b"hello\n", b"DETACH?": b"\x10\x11"}
    try:
        while time.monotonic() < deadline:
            if not select.select([fd], [], [], 1)[0]:
                continue
            try:
                piece = os.read(fd, 65536)
            except OSError:  # EIO: the terminal's last program has ended
                break
            output += piece
            for question, answer in list(answers.items()):
                if question in output:
                    del answers[question]
                    os.write(fd, answer)
    finally:
        os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output.decode(errors="replace").replace("\r\n", "\n")


def record(daemon: str, path: Path) -> None:
    """Write anew what a daemon answers to the commands of a transcript."""
    text = path.read_text()
    head = text[: text.index("$ ")]
    path.write_text(head + "".join(f"$ {command}\n{run(daemon, command)}" for command, _ in read(path)))


if __name__ == "__main__":
    for name in sys.argv[2:]:
        record(sys.argv[1], Path(name))
