"""S39: names on networks of one's own, and what lies behind them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host, Netns, eventually
from netloom.testing.name_servers import NameServer

pytestmark = pytest.mark.root
Box = Callable[..., str]


def dig(daemon: Daemon, name: str, *words: str) -> list[str]:
    done = daemon.docker("exec", name, "dig", "+short", "+tries=1", "+time=10", *words)
    return done.split("\n") if done else []


def status(daemon: Daemon, name: str, *words: str) -> str:
    said = daemon.docker("exec", name, "dig", "+tries=1", "+time=10", *words)
    return said.partition("status: ")[2].partition(",")[0]


def address(daemon: Daemon, name: str, network: str) -> str:
    return str(daemon.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"])


@pytest.fixture(scope="module")
def red(daemon: Daemon) -> Iterator[str]:
    records = 'db.shop A 192.0.2.50; _http._tcp.web SRV 0 5 8080 web; note TXT "a; b"; *.apps A 192.0.2.51'
    daemon.docker("network", "create", "--ipv6", "-o", f"netloom.dns.records={records}", "red")
    yield "red"
    daemon.docker("network", "rm", "red")


def test_s39_names_of_containers_and_of_the_outside(daemon: Daemon, box: Box, red: str, upstream: NameServer) -> None:
    box("web", "--network", red, "--network-alias", "www", "--hostname", "webhost")
    box("ask", "--network", red)
    assert "nameserver 127.0.0.11" in daemon.docker("exec", "ask", "cat", "/etc/resolv.conf")
    own = daemon.inspect("web")["NetworkSettings"]["Networks"][red]
    short = daemon.inspect("web")["Id"][:12]
    for name in ("web", "WEB", "www", "webhost", short, "web.red"):
        assert dig(daemon, "ask", name) == [own["IPAddress"]]
        assert dig(daemon, "ask", "+tcp", name) == [own["IPAddress"]]
    assert dig(daemon, "ask", "web", "AAAA") == [own["GlobalIPv6Address"]]
    assert dig(daemon, "ask", "-x", own["IPAddress"]) == ["web.red."]
    assert dig(daemon, "ask", "-x", own["GlobalIPv6Address"]) == ["web.red."]
    assert (status(daemon, "ask", "web", "MX"), dig(daemon, "ask", "web", "MX")) == ("NOERROR", [])
    assert dig(daemon, "ask", "www.test") == ["192.0.2.1"]
    assert status(daemon, "ask", "nosuch") == "NXDOMAIN"
    assert "www.test." in upstream.asked
    assert "\t5\tIN\tA" in daemon.docker("exec", "ask", "dig", "web")


def test_s39_names_are_of_the_networks_one_is_on(daemon: Daemon, box: Box, red: str) -> None:
    daemon.docker("network", "create", "blue")
    box("one", "--network", red)
    box("two", "--network", "blue")
    assert status(daemon, "one", "two") == "NXDOMAIN"
    daemon.docker("network", "connect", "--alias", "extra", "blue", "one")
    assert dig(daemon, "one", "two") == [address(daemon, "two", "blue")]
    assert dig(daemon, "two", "extra") == [address(daemon, "one", "blue")]
    daemon.docker("network", "disconnect", "blue", "one")
    assert status(daemon, "one", "two") == "NXDOMAIN"
    assert status(daemon, "two", "extra") == "NXDOMAIN"
    daemon.docker("rm", "-f", "two")
    daemon.docker("network", "rm", "blue")


def test_s39_several_addresses_take_turns_and_dead_ones_are_gone(daemon: Daemon, box: Box, red: str) -> None:
    for name in ("r1", "r2", "r3"):
        box(name, "--network", red, "--network-alias", "many")
    box("ask", "--network", red)
    expected = {name: address(daemon, name, red) for name in ("r1", "r2", "r3")}
    answers = [dig(daemon, "ask", "many") for _ in range(3)]
    assert all(sorted(answer) == sorted(expected.values()) for answer in answers)
    assert {answer[0] for answer in answers} == set(expected.values())
    daemon.docker("kill", "r1")
    assert sorted(dig(daemon, "ask", "many")) == sorted((expected["r2"], expected["r3"]))
    ending = daemon_pid(daemon, "r2")
    with Netns.of(daemon_pid(daemon, "ask")) as inside:
        daemon.kill()
        os.kill(ending, signal.SIGKILL)
        eventually(lambda: inside.run("dig", "+short", "@127.0.0.11", "many").split() == [expected["r3"]])
    daemon.start()
    assert dig(daemon, "ask", "many") == [expected["r3"]]


def test_s39_wildcards_and_records_of_the_network(daemon: Daemon, box: Box, red: str) -> None:
    box("web", "--network", red, "--network-alias", "*.shop")
    assert dig(daemon, "web", "a.shop") == dig(daemon, "web", "a.b.shop.red") == [address(daemon, "web", red)]
    assert dig(daemon, "web", "db.shop") == ["192.0.2.50"]
    assert dig(daemon, "web", "x.apps") == ["192.0.2.51"]
    assert dig(daemon, "web", "_http._tcp.web", "SRV") == ["0 5 8080 web."]
    assert dig(daemon, "web", "note", "TXT") == ['"a; b"']
    refused = daemon.docker("network", "create", "-o", "netloom.dns.records=x CNAME web", "bad", check=False)
    assert "netloom.dns.records" in refused
    assert "known are A, AAAA" in refused


def test_s39_an_internal_network_forwards_nothing(daemon: Daemon, box: Box, upstream: NameServer) -> None:
    daemon.docker("network", "create", "--internal", "inner")
    box("ask", "--network", "inner")
    before = len(upstream.asked)
    assert dig(daemon, "ask", "ask") == [address(daemon, "ask", "inner")]
    assert status(daemon, "ask", "www.test") == "SERVFAIL"
    assert len(upstream.asked) == before
    daemon.docker("rm", "-f", "ask")
    daemon.docker("network", "rm", "inner")


def test_s39_servers_of_ones_own_are_asked_from_inside(daemon: Daemon, box: Box, red: str) -> None:
    box("dns", "--network", red)
    with Netns.of(daemon_pid(daemon, "dns")) as inside, NameServer(inside, "0.0.0.0", says="192.0.2.99") as server:
        box("ask", "--network", red, "--dns", address(daemon, "dns", red))
        assert dig(daemon, "ask", "www.test") == ["192.0.2.99"]
        assert server.asked == ["www.test."]
        # its own server's port is its own: whoever asks that address gets its answers, names go on beside it
        assert dig(daemon, "dns", "@127.0.0.1", "here.test") == ["192.0.2.99"]
        assert dig(daemon, "dns", "ask") == [address(daemon, "ask", red)]


def test_s39_the_hosts_servers_are_followed_live(daemon: Daemon, host: Host, box: Box, red: str) -> None:
    box("ask", "--network", red)
    box("fixed", "--network", red, "--dns", OUTSIDE4)
    assert dig(daemon, "ask", "live.test") == ["192.0.2.1"]
    before = daemon.resolv_conf.read_text()
    with NameServer(host, "127.0.0.7", says="192.0.2.7"):
        daemon.resolv_conf.write_text("nameserver 127.0.0.7\n")
        try:
            eventually(lambda: dig(daemon, "ask", "live.test") == ["192.0.2.7"])
            assert dig(daemon, "fixed", "live.test") == ["192.0.2.1"]
        finally:
            daemon.resolv_conf.write_text(before)
        eventually(lambda: dig(daemon, "ask", "live.test") == ["192.0.2.1"])


def test_counts_and_the_query_log(daemon: Daemon, box: Box, red: str) -> None:
    box("talks", "--network", red)
    netloom = [sys.executable, "-m", "netloom", "-H", f"unix://{daemon.socket}", "network", "dns"]
    with subprocess.Popen([*netloom, "-f", "--format", "json", red], stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        lines: list[dict[str, object]] = []
        reader = threading.Thread(target=lambda: lines.extend(map(json.loads, following.stdout or ())))
        reader.start()
        try:
            eventually(lambda: dig(daemon, "talks", "talks") and len(lines) > 0)
            for name in ("logged.test", "logged.test", "nosuch"):
                dig(daemon, "talks", "+noedns", name)
            eventually(lambda: [line["Name"] for line in lines].count("logged.test.") == 2 and "nosuch." in str(lines))
        finally:
            following.terminate()
            reader.join()
    last = {str(line["Name"]): line for line in lines}
    told = [(line["Container"], line["Code"], line["Source"]) for line in lines if line["Name"] == "logged.test."]
    assert told == [("talks", "NOERROR", OUTSIDE4), ("talks", "NOERROR", "cache")]
    assert (last["nosuch."]["Code"], last["nosuch."]["Type"]) == ("NXDOMAIN", "A")
    assert last["talks."]["Source"] == "container"
    status, text = daemon.api("GET", f"/networks/{red}/dns")
    (counted,) = [row for row in json.loads(text)["Containers"] if row["Container"] == "talks"]
    assert status == 200
    assert (counted["Cached"], counted["Forwarded"], counted["Malformed"]) == (1, 2, 0)
    table = subprocess.run([*netloom, red], capture_output=True, text=True, check=True).stdout.splitlines()
    assert table[0].split() == "CONTAINER QUERIES ANSWERED CACHED FORWARDED FAILED MALFORMED".split()
    assert any(line.startswith("talks") for line in table)


def daemon_pid(daemon: Daemon, name: str) -> int:
    return int(daemon.inspect(name)["State"]["Pid"])
