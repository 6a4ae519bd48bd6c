"""`publish = "cooperate"`: from outside a published port is reached where the host's own INPUT lets it in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from programs import Programs, ufw
from traffic import PROTOCOLS, Web, serving

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Host, eventually

pytestmark = pytest.mark.root

# As somebody writes it by hand: what is asked for, neighbours, and nothing else.
CLOSED = """
table inet mine {
    set opened { type inet_proto . inet_service; }
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        meta l4proto . th dport @opened accept
    }
}
"""


@pytest.fixture
def web(host: Host, tmp_path: Path) -> Iterator[Web]:
    with ExitStack() as stack:
        (tmp_path / "daemon.json").write_text(json.dumps({"publish": "cooperate"}))
        # Strict reverse path filters are many distributions' default.
        host.sysctl("net/ipv4/conf/all/rp_filter", "1")
        options = ("--daemon-json", str(tmp_path / "daemon.json"))
        yield Web(stack.enter_context(Daemon(host, tmp_path / "daemon", *options)), stack)


def reached(host: Host) -> set[tuple[int, str]]:
    """By which family and protocol the port is reached from outside, and from whom where it is not from the client.

    A table that is being put back has UDP go through the relay for a moment.
    """
    found: set[tuple[int, str]] = set()
    for family, address, client in ((4, host.address4, OUTSIDE4), (6, host.address6, OUTSIDE6)):
        for proto in PROTOCOLS:
            try:
                seen = host.outside.ask(address, 8080, proto, timeout=0.5)
            except OSError:
                continue
            found.add((family, proto if seen.address == client else f"{proto} from {seen.address}"))
    return found


ALL: set[tuple[int, str]] = {(family, proto) for family in (4, 6) for proto in PROTOCOLS}


def test_a_bare_input_policy_decides(host: Host, web: Web) -> None:
    eventually(lambda: reached(host) == ALL, what="nobody drops")
    host.run("nft", "-f", "-", stdin=CLOSED)
    assert reached(host) == set()
    with serving(host, 7000):  # the host's own services are as its firewall says
        assert host.outside.misses(host.address4, 7000)
        host.run("nft", "add", "element", "inet", "mine", "opened", "{ tcp . 7000 }")
        assert host.outside.ask(host.address4, 7000).address == OUTSIDE4
    for proto in PROTOCOLS:
        host.run("nft", "add", "element", "inet", "mine", "opened", f"{{ {proto} . 8080 }}")
        assert reached(host) == {(family, one) for family, one in ALL if proto == "udp" or one == "tcp"}
    assert web.out()
    # The host, and containers of other networks, are not outside.
    host.run("nft", "flush", "set", "inet", "mine", "opened")
    assert reached(host) <= {(4, "udp"), (6, "udp")}, "a conversation that was let in goes on"
    assert host.ask(host.address4, 8080).address == host.address4
    assert host.reaches("127.0.0.1", 8080)
    assert check(web.daemon) == []


def test_policies_judge_what_input_lets_in(host: Host, web: Web) -> None:
    """By the client's address, and by the container's port."""

    def policy(**document: object) -> None:
        text = json.dumps({"name": "shop", **document})
        command = (sys.executable, "-m", "netloom", "-H", f"unix://{web.daemon.socket}", "policy", "apply", "-")
        subprocess.run(command, input=text, text=True, capture_output=True, check=True, timeout=60)

    cidr4, cidr6 = f"{OUTSIDE4}/32", f"{OUTSIDE6}/128"
    eventually(lambda: reached(host) == ALL, what="nobody drops")
    policy(deny=[{"from": {"cidr": cidr4}, "to": {"container": "web"}, "ports": ["80/tcp"]}])
    eventually(lambda: reached(host) == ALL - {(4, "tcp")}, what="what is not denied")
    policy(default={"red": "deny"}, allow=[{"from": {"cidr": cidr6}, "to": {"network": "red"}, "ports": ["80/udp"]}])
    eventually(lambda: reached(host) == {(6, "udp")}, what="what is allowed")
    # A mark of somebody else comes along, as in any other way.
    marks = """table inet mine {
        chain marked { type filter hook prerouting priority -150; meta mark set meta mark | 0x77; }
        chain passed { type filter hook forward priority -15; meta mark & 0xbfffffff != 0x77 drop; }
    }"""
    host.run("nft", "-f", "-", stdin=marks)
    eventually(lambda: reached(host) == {(6, "udp")}, what="what is allowed, marked")
    assert check(web.daemon) == []


def test_the_way_back_in_is_put_back(host: Host, web: Web) -> None:
    host.run("nft", "delete", "table", "ip", "netloom")
    eventually(lambda: reached(host) == ALL, what="a table of one family")
    host.run("ip", "link", "del", "netloom-back")
    eventually(lambda: reached(host) == ALL, what="the pair")
    web.daemon.kill()
    host.run("ip", "link", "set", "netloom-in", "down")
    host.run("ip", "addr", "flush", "dev", "netloom-back")
    web.daemon.start()
    assert reached(host) == ALL
    # Without the option nothing of it is left.
    web.daemon.stop()
    web.daemon.options = ()
    web.daemon.start()
    assert reached(host) == ALL
    assert "netloom-in" not in host.run("ip", "link")
    assert "ip netloom" not in host.run("nft", "list", "tables")
    assert "offered" not in host.run("nft", "list", "table", "inet", "netloom")


def test_a_real_ufw_decides(host: Host, web: Web, tmp_path: Path) -> None:
    with Programs(host, tmp_path) as programs:
        ufw(programs)
        eventually(web.out, what="the way out beside ufw")
        assert reached(host) == set()
        programs.run("ufw", "allow", "8080/tcp")
        assert reached(host) == {(4, "tcp"), (6, "tcp")}
        programs.run("ufw", "allow", "8080")
        assert reached(host) == ALL
