"""`netloom port add` and `rm`: on a running container, without a restart."""

from __future__ import annotations

import socket
import subprocess
import sys

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns


def netloom(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netloom", "-H", f"unix://{daemon.socket}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_ports_come_and_go_while_it_runs(daemon: Daemon, host: Host) -> None:
    daemon.docker("run", "-d", "--name", "pc-web", "host", "sleep", "600")
    pid = daemon.inspect("pc-web")["State"]["Pid"]
    with Netns.of(pid) as inside, inside.serve("0.0.0.0", 80, tag="web"):
        done = netloom(daemon, "port", "add", "pc-web", "18200:80", "18201-18202:81-82", "18203:80/udp")
        assert (done.returncode, done.stderr) == (0, "")
        assert host.outside.ask(host.address4, 18200).tag == "web"
        assert daemon.docker("port", "pc-web", "82") == "0.0.0.0:18202\n[::]:18202"
        assert check(daemon) == []

        taken = netloom(daemon, "port", "add", "pc-web", "18200:81")
        assert taken.returncode == 1
        assert "port is already allocated" in taken.stderr
        assert check(daemon) == []

        with host.outside.call(socket.create_connection, (host.address4, 18200), 20.0) as client:
            client.settimeout(20)
            assert client.recv(64)  # the server has answered, and closed
        assert netloom(daemon, "port", "rm", "pc-web", "18200:80", "82").returncode == 0
        assert host.outside.misses(host.address4, 18200)
        assert "82/tcp" not in daemon.docker("port", "pc-web")
        with host.serve("0.0.0.0", 18200, tag="host"):  # nobody holds it any more
            assert host.outside.ask(host.address4, 18200).tag == "host"
        assert check(daemon) == []

        missing = netloom(daemon, "port", "rm", "pc-web", "18200:80")
        assert (missing.returncode, "port 80/tcp is not published as 18200" in missing.stderr) == (1, True)
    assert daemon.inspect("pc-web")["State"]["Pid"] == pid
    daemon.docker("restart", "-t", "0", "pc-web")
    assert daemon.docker("port", "pc-web", "81") == "0.0.0.0:18201\n[::]:18201"
    assert "80/tcp" not in daemon.docker("port", "pc-web")
    daemon.docker("rm", "-f", "pc-web")
    assert check(daemon) == []
