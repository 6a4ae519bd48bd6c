"""S36, S37 and S38: the default bridge has no names; its containers have the host's servers, as they were at start."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host

pytestmark = pytest.mark.root
Box = Callable[..., str]

FALLBACK = ["8.8.8.8", "8.8.4.4"]


def servers(daemon: Daemon, name: str) -> list[str]:
    text = daemon.docker("exec", name, "cat", "/etc/resolv.conf")
    return [line.split()[1] for line in text.splitlines() if line.startswith("nameserver")]


@pytest.fixture
def resolv_conf(daemon: Daemon) -> Callable[[str], None]:
    """Writes the host's."""

    def write(text: str) -> None:
        daemon.resolv_conf.write_text(text)

    return write


@pytest.fixture(autouse=True)
def _as_before(daemon: Daemon) -> object:
    before = daemon.resolv_conf.read_text()
    yield
    daemon.resolv_conf.write_text(before)


def test_s36_the_hosts_servers_without_loopback(daemon: Daemon, box: Box, resolv_conf: Callable[[str], None]) -> None:
    resolv_conf(f"nameserver 127.0.0.53\nnameserver {OUTSIDE4}\nnameserver ::1\nsearch a.test b.test\noptions rotate\n")
    text = daemon.docker("exec", box("s36"), "cat", "/etc/resolv.conf")
    kept = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert kept == [f"nameserver {OUTSIDE4}", "search a.test b.test", "options rotate"]
    # /etc/hosts and /etc/hostname are the container's own
    assert daemon.docker("exec", "s36", "cat", "/etc/hostname") == daemon.docker("exec", "s36", "hostname")
    own = daemon.inspect("s36")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    assert f"{own}\t{daemon.inspect('s36')['Config']['Hostname']}" in daemon.docker("exec", "s36", "cat", "/etc/hosts")


def test_s36_a_name_of_the_hosts_servers_is_found(daemon: Daemon, box: Box) -> None:
    assert "192.0.2.1" in daemon.docker("exec", box("s36"), "getent", "ahostsv4", "www.test")


def test_s37_the_public_servers_where_none_is_left(
    daemon: Daemon, box: Box, resolv_conf: Callable[[str], None]
) -> None:
    resolv_conf("nameserver 127.0.0.1\n")
    assert servers(daemon, box("s37-a")) == FALLBACK
    resolv_conf("search only.test\n")
    assert servers(daemon, box("s37-b")) == FALLBACK
    assert servers(daemon, box("s37-c", "--dns", "192.0.2.5")) == ["192.0.2.5"]


def test_s38_a_change_is_seen_by_the_next_start_only(
    daemon: Daemon, box: Box, resolv_conf: Callable[[str], None]
) -> None:
    box("s38")
    resolv_conf("nameserver 192.0.2.77\n")
    assert servers(daemon, "s38") == [OUTSIDE4]
    daemon.kill()
    daemon.start()
    assert servers(daemon, "s38") == [OUTSIDE4]
    daemon.docker("restart", "-t", "0", "s38")
    assert servers(daemon, "s38") == ["192.0.2.77"]


def test_flags_of_the_default_bridge(daemon: Daemon, host: Host, box: Box) -> None:
    box(
        *("flags", "--dns", "192.0.2.5", "--dns", "192.0.2.6", "--dns-search", "x.test", "--dns-option", "ndots:3"),
        *("--hostname", "web", "--domainname", "corp.test", "--add-host", "db:10.9.9.9"),
        *("--add-host", "up:host-gateway"),
    )
    assert servers(daemon, "flags") == ["192.0.2.5", "192.0.2.6"]
    text = daemon.docker("exec", "flags", "cat", "/etc/resolv.conf")
    assert "\nsearch x.test\noptions ndots:3\n" in text
    gateway = daemon.network("bridge")["IPAM"]["Config"][0]["Gateway"]
    own = daemon.inspect("flags")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    lines = daemon.docker("exec", "flags", "cat", "/etc/hosts").splitlines()
    assert {"10.9.9.9\tdb", f"{gateway}\tup", f"{own}\tweb.corp.test web"} <= set(lines)
    assert daemon.docker("exec", "flags", "hostname") == "web"
    with host.serve(gateway, 7070):
        # IPv4 alone: nobody answers at those servers, and a question to them would be waited for.
        assert "up" in daemon.docker("exec", "flags", "getent", "ahostsv4", "up")


def test_links_of_the_default_bridge(daemon: Daemon, box: Box) -> None:
    box("lk-db", "--expose", "5432", "-e", "FOO=bar")
    box("lk-web", "--link", "lk-db:db")
    address = daemon.inspect("lk-db")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    for name in ("db", "lk-db"):
        assert address in daemon.docker("exec", "lk-web", "getent", "hosts", name)
    for command in ("exec lk-web env", "exec lk-web cat /proc/1/environ"):
        environment = daemon.docker(*command.split()).replace("\0", "\n").splitlines()
        assert {f"DB_PORT_5432_TCP_ADDR={address}", "DB_NAME=/lk-web/db", "DB_ENV_FOO=bar"} <= set(environment)
    assert daemon.docker_run("exec", "lk-db", "getent", "hosts", "lk-web").returncode != 0  # no names here
