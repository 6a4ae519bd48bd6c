from __future__ import annotations

import os
import signal

import pytest

from netloom.testing.hosts import Host, Netns, eventually


def inode(path: str) -> int:
    return os.stat(path).st_ino


def test_a_namespace_is_fresh_and_the_caller_stays_home() -> None:
    home = inode("/proc/thread-self/ns/net")
    with Netns() as one, Netns() as two:
        assert len({home, inode(one.netns_path), inode(two.netns_path)}) == 3
        assert one.call(lambda: inode("/proc/thread-self/ns/net")) == inode(one.netns_path)
        assert "LOOPBACK,UP" in one.run("ip", "-o", "link")
    assert inode("/proc/thread-self/ns/net") == home


@pytest.mark.parametrize("proto", ["tcp", "udp"])
@pytest.mark.parametrize(("address", "client"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1")])
def test_serve_and_ask(proto: str, address: str, client: str) -> None:
    with Netns() as box, box.serve(address, 0, proto, tag="a b") as port:  # type: ignore[arg-type]
        seen = box.ask(address, port, proto)  # type: ignore[arg-type]
        assert (seen.address, seen.tag) == (client, "a b")
        assert box.misses(address, port + 1, proto)  # type: ignore[arg-type]


def test_uplink_both_ways_and_a_second_host_beside() -> None:
    with Host(uplink=True) as one, Host(outside=one.outside, number=3) as two:
        with one.serve("0.0.0.0", 80), one.serve("::", 80):
            assert one.outside.ask(one.address4, 80).address == "198.51.100.1"
            assert one.outside.ask(one.address6, 80).address == "2001:db8:ff::1"
            assert two.ask(one.address4, 80).address == "198.51.100.3"
        with one.outside.serve("0.0.0.0", 53, "udp"):
            assert one.ask("198.51.100.1", 53, "udp").address == "198.51.100.2"
        assert one.ping("198.51.100.3")
        assert "default via 2001:db8:ff::1" in one.run("ip", "-6", "route")


def test_sysctls_are_the_namespaces_own() -> None:
    with Netns() as one, Netns() as two:
        one.bridge_netfilter(False)
        two.bridge_netfilter(True)
        assert one.sysctl("net/bridge/bridge-nf-call-iptables") == "0"
        assert two.sysctl("net/bridge/bridge-nf-call-iptables") == "1"


def test_closing_ends_what_was_started() -> None:
    box = Netns()
    child = box.popen("sleep", "1000")
    path = f"/proc/{child.pid}/ns/net"
    eventually(lambda: inode(path) == inode(box.netns_path), what="sleep to run inside")
    box.close()
    box.close()
    assert child.returncode == -signal.SIGKILL


def test_a_failing_command_tells_what_it_said() -> None:
    with Netns() as box:
        with pytest.raises(AssertionError, match="does not exist"):
            box.run("ip", "link", "show", "nothing")
        assert box.python("print(6 * 7)") == "42\n"
