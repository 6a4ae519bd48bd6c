"""`docker cp`, `diff` and sizes with the real docker CLI."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import eventually


def test_both_ways_running_and_stopped(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "file").write_text("text\n")
    (tmp_path / "big").write_bytes(os.urandom(20_000_000))
    script = "mkdir -p /d; echo one > /d/one; ln -s /d /lnk; touch /ready; exec sleep 600"
    options = ("--network", "none", "--name", "cp-one", "-v", "cp-data:/v", "-v", f"{tmp_path}:/ro:ro", "--tmpfs", "/t")
    daemon.docker("run", "-d", *options, "host", "sh", "-c", script)
    eventually(lambda: daemon.docker_run("exec", "cp-one", "test", "-e", "/ready").returncode == 0)
    for state in ("running", "exited"):
        daemon.docker("cp", str(tmp_path / "in"), f"cp-one:/d/{state}")
        daemon.docker("cp", f"{tmp_path}/in/.", "cp-one:/v")
        daemon.docker("cp", str(tmp_path / "big"), "cp-one:/lnk")
        daemon.docker("cp", "cp-one:/lnk/.", str(tmp_path / state))
        assert (tmp_path / state / state / "sub" / "file").read_text() == "text\n"
        assert (tmp_path / state / "big").read_bytes() == (tmp_path / "big").read_bytes()
        daemon.docker("cp", "-L", "cp-one:/lnk", str(tmp_path / f"{state}-followed"))
        assert (tmp_path / f"{state}-followed" / "one").read_text() == "one\n"
        daemon.docker("cp", "cp-one:/v/sub/file", str(tmp_path / f"{state}-file"))
        told = daemon.docker("cp", "cp-one:/nosuch", str(tmp_path), check=False)
        assert "Error response from daemon: Could not find the file /nosuch in container cp-one" in told
        told = daemon.docker("cp", f"{tmp_path}/big", "cp-one:/ro", check=False)
        assert "Error response from daemon: mounted volume is marked read-only" in told
        daemon.docker("kill", "cp-one", check=state == "running")
    changed = daemon.docker("diff", "cp-one").splitlines()
    assert {"A /d", "A /d/one", "A /d/running/sub/file", "A /lnk", "A /v", "A /ready"} <= set(changed)
    assert "A /v/sub" not in changed
    size = json.loads(daemon.docker("inspect", "-s", "--format", "{{json .SizeRw}}", "cp-one"))
    assert 20_000_000 < size < 20_001_000
    assert daemon.docker("ps", "-as", "--filter", "name=cp-one", "--format", "{{.Size}}").startswith("20MB")
    assert "its root is this machine's own" in daemon.docker("export", "cp-one", check=False)
    daemon.docker("start", "cp-one")
    assert daemon.docker("exec", "cp-one", "cat", "/d/exited/sub/file") == "text"
    assert check(daemon) == []
    daemon.docker("rm", "-fv", "cp-one")
    daemon.docker("volume", "rm", "cp-data")


def test_who_owns_what_was_copied(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.chown(tmp_path / "file", 7, 8)
    daemon.docker(
        "create", "--network", "none", "--name", "cp-own", "-u", "5:6", "host", "stat", "-c%u:%g", "/tmp/a", "/tmp/b"
    )
    daemon.docker("cp", str(tmp_path / "file"), "cp-own:/tmp/a")
    daemon.docker("cp", "-a", str(tmp_path / "file"), "cp-own:/tmp/b")
    assert daemon.docker("start", "-a", "cp-own").split() == ["7:8", "5:6"]
    daemon.docker("rm", "cp-own")


def test_a_copy_that_nobody_reads_holds_only_its_own_container(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(30_000_000))
    daemon.docker("create", "--network", "none", "--name", "cp-slow", "host", "true")
    daemon.docker("cp", str(tmp_path / "big"), "cp-slow:/big")
    slow = subprocess.Popen(daemon.command("cp", "cp-slow:/big", "-"), stdout=subprocess.PIPE)
    assert slow.stdout is not None
    slow.stdout.read(1)
    assert daemon.docker("run", "--rm", "--network", "none", "host", "echo", "others go on") == "others go on"
    slow.kill()
    slow.wait()
    slow.stdout.close()
    daemon.docker("start", "-a", "cp-slow")  # the reader has gone: its root is free
    slow = subprocess.Popen(daemon.command("cp", "cp-slow:/big", "-"), stdout=subprocess.PIPE)
    assert slow.stdout is not None
    slow.stdout.read(1)
    daemon.kill()
    slow.stdout.read()
    slow.stdout.close()
    slow.wait()
    daemon.start()
    daemon.docker("start", "-a", "cp-slow")
    assert check(daemon) == []
    daemon.docker("rm", "cp-slow")
    assert not (daemon.run_dir / "archives").exists()
