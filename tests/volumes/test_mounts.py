"""Volumes and mounts with the real docker CLI, crun and kernel."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon


def run(daemon: Daemon, *words: str, check: bool = True) -> str:
    return daemon.docker("run", "--rm", "--network", "none", *words, check=check)


def test_binds_of_all_kinds_in_one_container(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "file").write_text("of the host\n")
    out = run(
        daemon,
        *("-v", f"{tmp_path}:/deep/er:ro", "-v", f"{tmp_path}/sub:/deep", "-v", f"{tmp_path}/file:/etc/hosts"),
        *("-v", f"{tmp_path}/made:/made", "--tmpfs", "/t:size=1m,exec,mode=700,uid=5", "--tmpfs", "/dev/shm:size=2m"),
        *("--mount", "type=tmpfs,dst=/m,tmpfs-size=1m,tmpfs-mode=1770,readonly", "host", "sh", "-c"),
        "cat /etc/hosts /deep/er/file; touch /deep/er/x; touch /made/y; stat -c '%a %u %F' /t /m /made;"
        "grep -E ' (/t|/m|/dev/shm) ' /proc/self/mounts | sort",
        check=False,
    )
    assert out.splitlines() == [
        *("of the host", "of the host", "700 5 directory", "1770 0 directory", "755 0 directory"),
        "tmpfs /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=2048k 0 0",
        "tmpfs /m tmpfs ro,nosuid,nodev,noexec,relatime,size=1024k,mode=1770 0 0",
        "tmpfs /t tmpfs rw,nosuid,nodev,relatime,size=1024k,mode=700,uid=5 0 0",
        "touch: cannot touch '/deep/er/x': Read-only file system",
    ]
    assert sorted(os.listdir(tmp_path)) == ["file", "made", "sub"]
    assert os.listdir(tmp_path / "made") == ["y"]


def test_a_file_is_bound_read_only(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of the host\n")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        out = run(
            daemon,
            *("-v", f"{tmp_path}/file:/new:ro", "--mount", f"type=bind,src={tmp_path}/file,dst=/etc/motd,readonly"),
            *("-v", f"{tmp_path}/socket:/run/socket:ro", "host", "sh", "-c"),
            "cat /new /etc/motd; test -S /run/socket && echo socket; echo x >/new",
            check=False,
        )
    assert out.splitlines()[:3] == ["of the host", "of the host", "socket"]
    assert "Read-only file system" in out
    assert (tmp_path / "file").read_text() == "of the host\n"


def test_a_read_only_bind_is_so_below_too_and_propagation_follows(daemon: Daemon, tmp_path: Path) -> None:
    out = run(
        daemon,
        *("-v", "/dev:/d:ro", "-v", f"{tmp_path}:/s:rslave", "-v", f"{tmp_path}:/p", "host", "sh", "-c"),
        "touch /d/shm/x 2>&1; grep -E ' (/s|/p) ' /proc/self/mountinfo | grep -c master:",
        check=False,
    )
    assert out.splitlines()[0] == "touch: cannot touch '/d/shm/x': Read-only file system"
    assert out.splitlines()[1] in ("0", "1"), "slave where the machine's own mounts are shared"


def test_refusals_name_what_is_wrong(daemon: Daemon, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    told = run(daemon, "--mount", f"type=bind,src={missing},dst=/a", "host", "true", check=False)
    assert f'invalid mount config for type "bind": bind source path does not exist: {missing}' in told
    assert not missing.exists()
    assert "Duplicate mount point: /a" in run(daemon, "-v", "/srv:/a", "-v", "x1:/a", "host", "true", check=False)
    assert 'plugin "nosuch" not found' in daemon.docker("volume", "create", "-d", "nosuch", "v", check=False)


def test_a_named_volume_outlives_its_containers(daemon: Daemon) -> None:
    run(daemon, "-v", "mt-data:/d", "host", "sh", "-c", "echo kept > /d/file")
    assert run(daemon, "-v", "mt-data:/d:ro", "host", "cat", "/d/file") == "kept"
    shown = json.loads(daemon.docker("volume", "inspect", "mt-data"))[0]
    assert (shown["Driver"], shown["Options"], shown["Labels"], shown["Scope"]) == ("local", None, None, "local")
    assert Path(shown["Mountpoint"], "file").read_text() == "kept\n"
    key = daemon.docker("create", "--name", "mt-user", "-v", "mt-data:/d", "-v", "/anon", "host", "true")
    refused = daemon.docker("volume", "rm", "mt-data", check=False)
    assert refused == f"Error response from daemon: remove mt-data: volume is in use - [{key}]"
    assert (
        daemon.docker("ps", "-a", "--filter", "volume=mt-data", "--format", "{{.Names}} {{.LocalVolumes}}")
        == "mt-user 2"
    )
    own = next(m["Name"] for m in daemon.inspect("mt-user")["Mounts"] if m["Destination"] == "/anon")
    assert daemon.docker("volume", "ls", "-qf", "dangling=false").split() == [own, "mt-data"]
    other = ("--volumes-from", "mt-user:ro", "host", "sh", "-c", "cat /d/file; touch /anon/x")
    assert run(daemon, *other, check=False) == "kept\ntouch: cannot touch '/anon/x': Read-only file system"
    assert check(daemon) == []
    daemon.docker("rm", "-v", "mt-user")
    assert daemon.docker("volume", "ls", "-q") == "mt-data"
    assert daemon.docker("volume", "prune", "-f", "--filter", "label=no") == "Total reclaimed space: 0B"
    assert daemon.docker("volume", "prune", "-af").splitlines()[1] == "mt-data"


def test_all_users_of_a_volume_see_one_file_system_across_daemons(daemon: Daemon) -> None:
    options = ("--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=1m,uid=5")
    daemon.docker("volume", "create", *options, "mt-ram")
    daemon.docker("run", "-d", "--network", "none", "--name", "mt-holder", "-v", "mt-ram:/t", "host", "sleep", "600")
    daemon.docker("exec", "mt-holder", "sh", "-c", "echo shared > /t/k")
    read = ("-v", "mt-ram:/t", "host", "sh", "-c", "cat /t/k; stat -c %u /t")
    assert run(daemon, *read) == "shared\n5"
    daemon.kill()
    daemon.start()
    assert run(daemon, *read) == "shared\n5"
    daemon.docker("rm", "-f", "mt-holder")
    assert "No such file" in run(daemon, *read, check=False), "it goes with its last user"
    assert check(daemon) == []
    daemon.docker("volume", "rm", "mt-ram")
    bad = ("--opt", "type=none", "--opt", "device=/nonexistent", "--opt", "o=bind", "mt-bad")
    daemon.docker("volume", "create", *bad)
    assert "failed to mount local volume: mount /nonexistent:" in run(
        daemon, "-v", "mt-bad:/t", "host", "true", check=False
    )
    daemon.docker("volume", "rm", "mt-bad")


def test_a_part_of_a_volume_cannot_be_led_out_of_it(daemon: Daemon) -> None:
    run(daemon, "-v", "mt-part:/x", "host", "sh", "-c", "mkdir /x/sub; touch /x/sub/z; ln -s ../.. /x/evil")
    part = "type=volume,src=mt-part,dst=/d,volume-subpath="
    assert run(daemon, "--mount", f"{part}sub", "host", "ls", "/d") == "z"
    assert "escapes the base directory" in run(daemon, "--mount", f"{part}evil", "host", "true", check=False)
    assert "no such file or directory" in run(daemon, "--mount", f"{part}nosuch", "host", "true", check=False)
    daemon.docker("volume", "rm", "mt-part")


def test_secrets_of_the_host_do_not_become_a_volume(daemon: Daemon) -> None:
    assert run(daemon, "-v", "mt-etc:/etc", "host", "ls", "/etc").split() == ["hostname", "hosts", "resolv.conf"]
    daemon.docker("volume", "rm", "mt-etc")
