"""What a first user does, with the real docker CLI, on the real kernel."""

from __future__ import annotations

import json

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns, eventually


def test_the_predefined_networks_are_there(daemon: Daemon) -> None:
    names = daemon.docker("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}").splitlines()
    assert sorted(names) == ["bridge bridge local", "host host local", "none null local"]


def test_a_container_runs_and_tells_its_output_and_code(daemon: Daemon) -> None:
    done = daemon.docker_run("run", "--rm", "host", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_containers_of_a_network_reach_each_other_by_name(daemon: Daemon) -> None:
    daemon.docker("network", "create", "fs-a")
    daemon.docker("run", "-d", "--name", "fs-db", "--network", "fs-a", "host", "sleep", "600")
    out = daemon.docker("run", "--rm", "--network", "fs-a", "host", "ping", "-c1", "-W2", "fs-db")
    assert "1 received" in out
    address = daemon.inspect("fs-db")["NetworkSettings"]["Networks"]["fs-a"]["IPAddress"]
    assert address in out
    daemon.docker("rm", "-f", "fs-db")
    daemon.docker("network", "rm", "fs-a")


def test_inside_is_what_inspect_says(daemon: Daemon) -> None:
    daemon.docker("network", "create", "--subnet", "10.77.0.0/24", "fs-b")
    daemon.docker("run", "-d", "--name", "fs-in", "--network", "fs-b", "--ip", "10.77.0.9", "host", "sleep", "600")
    told = daemon.inspect("fs-in")
    settings = told["NetworkSettings"]["Networks"]["fs-b"]
    links = json.loads(daemon.docker("exec", "fs-in", "ip", "-j", "addr"))
    eth0 = next(link for link in links if link["ifname"] == "eth0")
    assert eth0["address"] == settings["MacAddress"]
    assert [(a["local"], a["prefixlen"]) for a in eth0["addr_info"] if a["family"] == "inet"] == [("10.77.0.9", 24)]
    routes = json.loads(daemon.docker("exec", "fs-in", "ip", "-j", "route"))
    assert {"default", "10.77.0.0/24"} == {r["dst"] for r in routes}
    assert next(r["gateway"] for r in routes if r["dst"] == "default") == settings["Gateway"] == "10.77.0.1"
    assert "nameserver 127.0.0.11" in daemon.docker("exec", "fs-in", "cat", "/etc/resolv.conf")
    with Netns.of(told["State"]["Pid"]) as inside:
        assert inside.ping("198.51.100.1")
    daemon.docker("rm", "-f", "fs-in")
    daemon.docker("network", "rm", "fs-b")


def test_connect_and_disconnect_while_it_runs(daemon: Daemon, host: Host) -> None:
    daemon.docker("network", "create", "fs-c")
    daemon.docker("network", "create", "fs-d")
    daemon.docker("run", "-d", "--name", "fs-two", "--network", "fs-c", "host", "sleep", "600")
    daemon.docker("network", "connect", "--alias", "other", "fs-d", "fs-two")
    links = daemon.docker("exec", "fs-two", "ip", "-br", "link")
    assert "eth1@" in links
    assert "1 received" in daemon.docker("run", "--rm", "--network", "fs-d", "host", "ping", "-c1", "-W2", "other")
    daemon.docker("network", "disconnect", "fs-d", "fs-two")
    assert "eth1@" not in daemon.docker("exec", "fs-two", "ip", "-br", "link")
    daemon.docker("rm", "-f", "fs-two")
    daemon.docker("network", "rm", "fs-c", "fs-d")
    assert not [link for link in host.run("ip", "-br", "link").splitlines() if link.startswith("nl")]


def test_a_published_port_is_reached_from_outside_and_from_loopback(daemon: Daemon, host: Host) -> None:
    daemon.docker("run", "-d", "--name", "fs-web", "-p", "8080:80", "host", "sleep", "600")
    with Netns.of(daemon.inspect("fs-web")["State"]["Pid"]) as inside, inside.serve("0.0.0.0", 80):
        assert host.outside.ask(host.address4, 8080).address == "198.51.100.1"
        assert host.ask("127.0.0.1", 8080).address == daemon.network("bridge")["IPAM"]["Config"][0]["Gateway"]
    daemon.docker("rm", "-f", "fs-web")
    assert host.outside.misses(host.address4, 8080)


def test_containers_outlive_the_daemon(daemon: Daemon) -> None:
    daemon.docker("network", "create", "fs-e")
    for name in ("fs-one", "fs-other"):
        daemon.docker("run", "-d", "--name", name, "--network", "fs-e", "host", "sleep", "600")
    pid = daemon.inspect("fs-one")["State"]["Pid"]
    address = daemon.inspect("fs-other")["NetworkSettings"]["Networks"]["fs-e"]["IPAddress"]
    daemon.kill()
    with Netns.of(pid) as inside:
        assert inside.ping(address)
    daemon.start()
    assert daemon.inspect("fs-one")["State"]["Pid"] == pid
    assert "1 received" in daemon.docker("exec", "fs-one", "ping", "-c1", "-W2", "fs-other")
    daemon.docker("rm", "-f", "fs-one", "fs-other")
    daemon.docker("network", "rm", "fs-e")


def test_an_end_from_outside_is_seen_without_a_command(daemon: Daemon, host: Host) -> None:
    daemon.docker("run", "-d", "--name", "fs-end", "host", "sleep", "600")
    pid = daemon.inspect("fs-end")["State"]["Pid"]
    host.run("kill", "-9", str(pid))
    eventually(lambda: daemon.inspect("fs-end")["State"]["Status"] == "exited", what="the end is seen")
    assert daemon.inspect("fs-end")["State"]["ExitCode"] == 137
    assert not daemon.network("bridge")["Containers"]
    daemon.docker("rm", "fs-end")


def test_the_exit_code_of_an_exec_is_never_lost(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "fs-code", "host", "sleep", "600")
    codes = [daemon.docker_run("exec", "fs-code", "sh", "-c", "exit 7").returncode for _ in range(20)]
    assert codes == [7] * 20
    daemon.docker("rm", "-f", "fs-code")
