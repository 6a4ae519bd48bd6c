from __future__ import annotations

import os
import subprocess

import pytest

from netloom.kernel import namespace
from netloom.kernel.namespace import FdNamespace, ProcessNamespace
from netloom.testing.hosts import Netns


def own() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_entering_changes_the_calling_thread_and_leaving_brings_it_back() -> None:
    def body() -> tuple[int, int, int]:
        home, fd = namespace.open_own(), namespace.create()
        try:
            before = own()
            with namespace.entered(fd, home):
                inside = own()
            return before, inside, own()
        finally:
            os.close(home)
            os.close(fd)

    before, inside, after = namespace.in_thread(body)
    assert before == after == own() != inside


def test_leaving_after_a_failure() -> None:
    def body() -> int:
        home, fd = namespace.open_own(), namespace.create()
        try:
            with pytest.raises(ZeroDivisionError), namespace.entered(fd, home):
                raise ZeroDivisionError
            return own()
        finally:
            os.close(home)
            os.close(fd)

    assert namespace.in_thread(body) == own()


def test_what_is_no_namespace_is_refused() -> None:
    with open("/dev/null") as null, pytest.raises(OSError, match="setns"):
        namespace.setns(null.fileno())


def test_an_fd_holds_it_until_closed() -> None:
    held = FdNamespace(namespace.create())
    fd = held.open()
    os.close(fd)
    held.close()
    held.close()
    with pytest.raises(ProcessLookupError):
        held.open()


def test_a_process_holds_it_until_it_ends() -> None:
    with Netns() as box:
        child = box.popen("sh", "-c", "echo ready; exec sleep 1000", stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        held = ProcessNamespace.of(child.pid)
        fd = held.open()
        assert os.fstat(fd).st_ino == os.fstat(box.fd).st_ino
        os.close(fd)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended and not reaped: its pid is not reused
        with pytest.raises(ProcessLookupError):
            held.open()
        child.wait()
        with pytest.raises(ProcessLookupError):
            held.open()
        with pytest.raises(ProcessLookupError):
            ProcessNamespace.of(child.pid)
        held.close()
        held.close()
