"""The daemon's options, seen from outside: by the docker CLI, in the kernel, on the wire."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, eventually


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Daemon]:
    """A daemon with these options on a host of its own."""
    with Host(uplink=True) as host, Daemon(host, folder, *options) as daemon:
        yield daemon


def test_the_default_bridge_is_as_asked(tmp_path: Path) -> None:
    options = ["--bip", "172.30.0.1/24", "--fixed-cidr", "172.30.0.128/25", "--mtu", "1400", "--ip", "127.0.0.1"]
    with serving(tmp_path, *options) as daemon:
        assert "inet 172.30.0.1/24 " in daemon.host.run("ip", "addr", "show", "netloom0")
        inside = daemon.docker("run", "--rm", "host", "ip", "-o", "addr", "show", "eth0")
        assert "inet 172.30.0.128/24 " in inside
        assert "mtu 1400" in daemon.docker("run", "--rm", "host", "ip", "-o", "link", "show", "eth0")
        daemon.docker("run", "-d", "--name", "web", "-p", "8080:80", "host", "sleep", "100")
        assert daemon.docker("port", "web") == "80/tcp -> 127.0.0.1:8080"


def test_new_networks_follow_pools_and_options(tmp_path: Path) -> None:
    options = [
        "--default-address-pool",
        "base=10.9.0.0/16,size=24",
        "--default-address-pool",
        "base=10.8.0.0/24,size=24",
    ]
    options += ["--default-network-opt", "bridge=com.docker.network.driver.mtu=1300"]
    with serving(tmp_path, *options) as daemon:
        daemon.docker("network", "create", "one")
        daemon.docker("network", "create", "-o", "com.docker.network.driver.mtu=1350", "two")
        one, two = daemon.network("one"), daemon.network("two")
        assert [n["IPAM"]["Config"][0]["Subnet"].rpartition(".")[0] for n in (one, two)] == ["10.9.0", "10.9.1"]
        assert one["Options"] == {"com.docker.network.driver.mtu": "1300"}
        assert two["Options"] == {"com.docker.network.driver.mtu": "1350"}


def test_pools_of_one_family_leave_the_other_its_own(tmp_path: Path) -> None:
    with serving(tmp_path, "--default-address-pool", "base=fd09::/48,size=64") as daemon:
        daemon.docker("network", "create", "--ipv6", "both")
        assert [pool["Subnet"] for pool in daemon.network("both")["IPAM"]["Config"]] == ["172.18.0.0/16", "fd09::/64"]


def test_names_follow_the_daemons_dns(tmp_path: Path) -> None:
    options = ["--dns", "192.0.2.53", "--dns-search", "corp.test", "--dns-opt", "ndots:3"]
    options += ["--host-gateway-ip", "192.0.2.9"]
    with serving(tmp_path, *options) as daemon:
        run = ["run", "--rm", "--add-host", "outer:host-gateway", "host", "cat", "/etc/resolv.conf", "/etc/hosts"]
        lines = daemon.docker(*run).splitlines()
        assert {"nameserver 192.0.2.53", "search corp.test", "options ndots:3"} <= set(lines)
        assert "192.0.2.9\touter" in lines


def test_a_daemon_json_is_taken_over_and_what_is_passed_over_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"bip": "172.31.5.1/24", "data-root": "/elsewhere", "ipv6": False}))
    with serving(tmp_path / "d", "--daemon-json", str(file), "--log-format", "json") as daemon:
        assert daemon.network("bridge")["IPAM"]["Config"][0]["Gateway"] == "172.31.5.1"
        records = [json.loads(line) for line in daemon.log.read_text().splitlines()]
        assert len([r for r in records if "data-root" in json.dumps(r)]) == 1


def test_the_socket_is_for_root_and_its_group(tmp_path: Path) -> None:
    with serving(tmp_path) as daemon:
        mode = daemon.socket.stat()
        assert stat.filemode(mode.st_mode) == "srw-rw----"
        assert mode.st_uid == 0


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, Host(uplink=True) as host:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        daemon = Daemon(host, tmp_path / "d")
        daemon.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        with daemon:
            assert manager.recv(4096).startswith(b"READY=1\n")
            assert daemon.stop() == 0
            assert manager.recv(4096).startswith(b"STOPPING=1\n")


def refused(host: Host, folder: Path) -> str:
    """What a daemon that must not start says; it ends with 1."""
    second = Daemon(host, folder)
    second.spawn()
    process = second._process
    assert process is not None
    assert process.wait(20) == 1
    return second.log_tail()


def test_a_second_daemon_in_one_namespace_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path / "first") as daemon:
        assert "works in this network namespace" in refused(daemon.host, tmp_path / "second")
        assert "netloom0" in daemon.host.run("ip", "link")


def test_a_second_daemon_on_one_state_directory_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as daemon, Host() as other:
        said = refused(other, tmp_path)
        assert str(daemon.state_dir) in said
        assert daemon.docker("network", "ls", "-q")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a server's certificate for the host's address, and a client's."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "names").write_text("subjectAltName=IP:198.51.100.2\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    commands = [["req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca"]]
    for name in ("server", "client"):
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"]
        commands.append(["req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"])
        commands.append(["x509", "-req", "-in", f"{name}.csr", *sign, "-out", f"{name}.pem"])
    for command in commands:
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder


def test_tcp_is_for_clients_of_the_ca_alone(tmp_path: Path, certificates: Path) -> None:
    files = {name: str(certificates / name) for name in os.listdir(certificates)}
    options = ["--tcp", "198.51.100.2:2376", "--tlscacert", files["ca.pem"]]
    options += ["--tlscert", files["server.pem"], "--tlskey", files["server.key"]]
    with serving(tmp_path, *options) as daemon:

        def docker(*words: str, client: bool) -> subprocess.CompletedProcess[str]:
            own = ["--tlscert", files["client.pem"], "--tlskey", files["client.key"]] if client else []
            words = ("-H", "tcp://198.51.100.2:2376", "--tlsverify", "--tlscacert", files["ca.pem"], *own, *words)
            outside = daemon.host.outside.command("docker", *words)
            return subprocess.run(outside, capture_output=True, text=True, timeout=30, check=False, input="in\n")

        assert docker("network", "ls", "--format", "{{.Name}}", client=True).stdout.split() == [
            "bridge",
            "host",
            "none",
        ]
        assert docker("run", "--rm", "host", "echo", "out", client=True).stdout == "out\n"
        assert docker("run", "--rm", "-i", "host", "cat", client=True).stdout == "in\n"
        assert docker("network", "ls", client=False).returncode != 0


def test_a_hangup_ends_nothing_and_an_idle_daemon_leaves_no_process(tmp_path: Path) -> None:
    with serving(tmp_path) as daemon:
        os.kill(daemon.pid, signal.SIGHUP)
        eventually(lambda: "SIGHUP" in daemon.log_tail())
        assert daemon.docker("network", "create", "app")
        daemon.docker("run", "-d", "--name", "web", "--network", "app", "host", "sleep", "100")
        daemon.stop()
        assert daemon.data_plane_pid()
        daemon.start()
        daemon.docker("rm", "-f", "web")
        daemon.stop()
        assert not daemon.data_plane_pid()
