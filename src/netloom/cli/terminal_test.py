"""Commands under a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from netloom.cli.conftest import command, environment
from netloom.testing.daemons import Daemon

pytestmark = pytest.mark.root


class Screen:
    """A terminal with a command on it."""

    def __init__(self, daemon: Daemon, *words: str) -> None:
        self.master, slave = pty.openpty()
        self.resize(31, 97)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command(*words)],  # else a new size would not be signalled
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(daemon),
        )
        self.slave = slave
        self.seen = b""

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.slave)
        os.close(self.master)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def expect(self, text: bytes) -> None:
        deadline = time.monotonic() + 20
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come: {self.seen!r}"
            self.seen += os.read(self.master, 4096)
        self.seen = self.seen.partition(text)[2]

    def status(self) -> int:
        """The exit status; the terminal must be as it was."""
        code = self.process.wait(20)
        assert termios.tcgetattr(self.slave) == self.before
        return code


@pytest.fixture
def screen(daemon: Daemon) -> Iterator[Callable[..., Screen]]:
    screens: list[Screen] = []

    def make(*words: str) -> Screen:
        screens.append(Screen(daemon, *words))
        return screens[-1]

    yield make
    for each in screens:
        each.close()


@contextmanager
def sleeper(daemon: Daemon, name: str) -> Iterator[str]:
    daemon.docker("run", "-d", "--name", name, "host", "sleep", "1000")
    try:
        yield name
    finally:
        daemon.docker("rm", "-f", name)


def test_run_with_a_terminal(screen: Callable[..., Screen]) -> None:
    shell = screen("run", "--rm", "-it", "host", "sh")
    shell.type(b"stty size; tty; echo $((6*7))\r")
    shell.expect(b"31 97")
    shell.expect(b"/dev/pts/")
    shell.expect(b"42")
    shell.type(b"exit 5\r")
    assert shell.status() == 5


def test_resizing_reaches_the_program(screen: Callable[..., Screen]) -> None:
    shell = screen(
        "run", "--rm", "-it", "host", "sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do read x; done"
    )
    shell.expect(b"ready")
    shell.resize(50, 120)
    shell.expect(b"50 120")
    shell.type(b"\x03")  # interrupt goes to the program, not to us
    assert shell.status() == 130


def test_detaching_leaves_it_running(daemon: Daemon, screen: Callable[..., Screen]) -> None:
    shell = screen("run", "-it", "--name", "left", "host", "sh")
    shell.type(b"echo a$((1))b\r")
    shell.expect(b"a1b")
    shell.type(b"\x10\x11")
    assert shell.status() == 0
    assert daemon.inspect("left")["State"]["Running"]
    daemon.docker("rm", "-f", "left")


def test_exec_with_a_terminal(daemon: Daemon, screen: Callable[..., Screen]) -> None:
    with sleeper(daemon, "target") as name:
        shell = screen("exec", "-it", name, "sh")
        shell.type(b"stty size; exit 3\r")
        shell.expect(b"31 97")
        assert shell.status() == 3


def test_signals_are_passed_on(daemon: Daemon) -> None:
    script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        command("run", "--rm", "host", "sh", "-c", script),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(daemon),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "caught\n"
        assert process.wait(20) == 9
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_terminal_needs_a_terminal(daemon: Daemon) -> None:
    done = subprocess.run(
        command("run", "-it", "host", "sh"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(daemon),
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "the input device is not a TTY\n")
