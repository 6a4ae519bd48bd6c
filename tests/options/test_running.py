"""How a container runs, and what is done with one that runs, by the real docker CLI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon

pytestmark = pytest.mark.cgroups


def test_options_from_the_command_line(daemon: Daemon, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    daemon.docker(
        *("run", "-d", "--name", "all", "--network", "none", "--init", "--ulimit", "nofile=100:200"),
        *("--group-add", "1234", "--security-opt", "no-new-privileges", "--security-opt", f"seccomp={profile}"),
        *(
            "--security-opt",
            "label=disable",
            "--security-opt",
            "systempaths=unconfined",
            "--device",
            "/dev/zero:/dev/z:r",
        ),
        *(
            "--memory",
            "64m",
            "--memory-reservation",
            "32m",
            "--cpus",
            "0.5",
            *(("--cpuset-cpus", "0") if daemon.json("GET", "/info")["CPUSet"] else ()),
            "--pids-limit",
            "50",
        ),
        *("--ipc", "shareable", "--shm-size", "1m", "--hostname", "h", "--stop-timeout", "1", "--cgroupns", "private"),
        *("--oom-score-adj", "100", "--annotation", "a=b", "--log-opt", "max-size=1m", "--log-opt", "max-file=3"),
        *("host", "sleep", "1000"),
    )
    said = daemon.docker(
        *("exec", "all", "sh", "-c"),
        "ulimit -n; id -G; grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status; mkdir /tmp/x 2>&1; "
        "tr '\\0' ' ' </proc/1/cmdline; echo; grep -c ' /proc/' /proc/mounts; df -k --output=size /dev/shm | tail -1",
    )
    assert [line.strip() for line in said.splitlines()] == [
        *("100", "0 1234", "NoNewPrivs:\t1", "Seccomp:\t2"),
        "mkdir: cannot create directory '/tmp/x': Permission denied",
        *("/sbin/docker-init -- sleep 1000", "0", "1024"),
    ]
    host = daemon.inspect("all")["HostConfig"]
    assert (host["Init"], host["MaskedPaths"], host["IpcMode"]) == (True, [], "shareable")
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "3"}}
    assert host["SecurityOpt"][0] == "no-new-privileges"
    daemon.docker("exec", "all", "sh", "-c", "echo shared >/dev/shm/note")
    joined = daemon.docker(
        *("run", "--rm", "--network", "none", "--ipc", "container:all", "--pid", "container:all", "host"),
        *("sh", "-c", "cat /dev/shm/note; tr '\\0' ' ' </proc/1/cmdline"),
    )
    assert joined == "shared\n/sbin/docker-init -- sleep 1000"
    privileged = daemon.docker("exec", "--privileged", "-u", "0", "all", "grep", "CapEff", "/proc/self/status")
    assert int(privileged.split()[1], 16) >> 21 & 1, "CAP_SYS_ADMIN"
    daemon.docker("rm", "-f", "all")


def test_refusals(daemon: Daemon) -> None:
    for words, sentence in (
        (("--gpus", "all"), 'could not select device driver "" with capabilities: [[gpu]]'),
        (("--log-driver", "nosuch"), 'error looking up logging plugin nosuch: plugin "nosuch" not found'),
        (
            ("--storage-opt", "size=1G"),
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
        (("--runtime", "x"), "unknown or invalid runtime name: x"),
        (("--pid", "container:nosuch"), "No such container: nosuch"),
        (("--device", "/dev/nope"), 'error gathering device information while adding custom device "/dev/nope"'),
        (("--memory", "5m"), "Minimum memory limit allowed is 6MB"),
        (("--security-opt", "bad=x"), 'invalid --security-opt 2: "bad=x"'),
    ):
        said = daemon.docker("run", "--rm", "--network", "none", *words, "host", "true", check=False)
        assert sentence in said, words
    daemon.docker("run", "-d", "--name", "closed", "--network", "none", "host", "sleep", "1000")
    said = daemon.docker("run", "--network", "none", "--ipc", "container:closed", "host", "true", check=False)
    assert "non-shareable IPC (hint: use IpcMode:shareable for the donor container)" in said
    daemon.docker("rm", "-f", "closed")


def test_pausing_outlives_the_daemon(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "web", "--network", "none", "--stop-timeout", "1", "host", "sleep", "1000")
    daemon.docker("pause", "web")
    assert daemon.docker("ps", "--format", "{{.Status}}", "--filter", "status=paused").endswith("(Paused)")
    assert "is paused, unpause the container before exec" in daemon.docker("exec", "web", "true", check=False)
    daemon.kill()
    daemon.start()
    state = daemon.inspect("web")["State"]
    assert (state["Status"], state["Running"], state["Paused"]) == ("paused", True, True)
    daemon.docker("unpause", "web")
    assert daemon.docker("exec", "web", "echo", "back") == "back"
    daemon.docker("pause", "web")
    daemon.docker("restart", "-t", "0", "web")
    assert daemon.inspect("web")["State"]["Status"] == "running"
    daemon.docker("pause", "web")
    daemon.docker("rm", "-f", "web")
    assert check(daemon) == []


def test_stats_and_update(daemon: Daemon) -> None:
    daemon.docker("network", "create", "stats-a")
    daemon.docker("network", "create", "stats-b")
    daemon.docker("run", "-d", "--name", "sample", "--network", "stats-a", "--memory", "64m", "host", "sleep", "1000")
    daemon.docker("network", "connect", "stats-b", "sample")
    daemon.docker("run", "--rm", "--network", "stats-b", "host", "ping", "-c", "3", "-i", "0.2", "sample")
    found = daemon.json("GET", "/containers/sample/stats?stream=0&one-shot=1")
    assert sorted(found["networks"]) == ["eth0", "eth1"]
    assert found["networks"]["eth1"]["rx_packets"] >= 3
    assert found["networks"]["eth1"]["rx_packets"] > found["networks"]["eth0"]["rx_packets"]
    assert found["memory_stats"]["limit"] == 64 << 20
    assert found["pids_stats"]["current"] == 1
    columns = "{{.Name}} {{.PIDs}} {{.MemUsage}} {{.NetIO}}"
    name, pids, used, slash, limit, *net = daemon.docker("stats", "--no-stream", "--format", columns, "sample").split()
    assert (name, pids, slash, limit) == ("sample", "1", "/", "64MiB")
    assert used.endswith(("KiB", "MiB"))
    assert net[0] != "0B"
    assert daemon.docker("update", "--memory", "32m", "--memory-swap", "-1", "--cpus", "0.5", "sample") == "sample"
    assert daemon.json("GET", "/containers/sample/stats?stream=0&one-shot=1")["memory_stats"]["limit"] == 32 << 20
    assert "Minimum memory limit allowed is 6MB" in daemon.docker("update", "--memory", "1m", "sample", check=False)
    assert daemon.docker("update", "--restart", "on-failure:3", "sample") == "sample"
    assert daemon.inspect("sample")["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    daemon.docker("rm", "-f", "sample")
    daemon.docker("network", "rm", "stats-a", "stats-b")
