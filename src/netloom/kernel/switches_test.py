from __future__ import annotations

import os
import socket
import time
from statistics import median

from netloom.kernel.switches import Ipv6Switches
from netloom.testing.hosts import Netns, eventually


def turn(switches: Ipv6Switches, interface: str, on: bool) -> float:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inside:
        start = time.perf_counter()
        switches.turn(inside, interface, on=on)
        return time.perf_counter() - start


def folders() -> int:
    return sum(
        "/proc/sys/net" in os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{fd}")
    )


def test_each_namespace_has_its_own_switch() -> None:
    switches = Ipv6Switches()
    with Netns() as one, Netns() as two:
        try:
            for _ in range(2):
                one.call(turn, switches, "lo", False)
                two.call(turn, switches, "lo", True)
                assert one.sysctl("net/ipv6/conf/lo/disable_ipv6") == "1"
                assert two.sysctl("net/ipv6/conf/lo/disable_ipv6") == "0"
                one.call(turn, switches, "lo", True)
                assert one.sysctl("net/ipv6/conf/lo/disable_ipv6") == "0"
        finally:
            switches.close()
    assert folders() == 0


def test_a_folder_does_not_keep_its_namespace_and_is_let_go_after_it() -> None:
    switches = Ipv6Switches()
    try:
        with Netns() as host:
            box = Netns()
            box.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", host.netns_path)
            box.call(switches.remember)
            box.close()
            eventually(lambda: "v1" not in host.run("ip", "link"), what="the namespace to end")

            def dropped() -> bool:
                with Netns() as other:
                    other.call(switches.remember)
                return folders() <= 2

            for _ in range(5):
                eventually(dropped, what="dead namespaces' folders to be closed")
    finally:
        switches.close()


def test_a_switch_costs_the_same_however_many_namespaces_there_are() -> None:
    switches = Ipv6Switches()
    boxes = [Netns() for _ in range(150)]
    try:
        for box in boxes:
            box.call(switches.remember)
        few, many = boxes[:15], boxes[-15:]
        first = median(box.call(turn, switches, "lo", True) for box in few)
        last = median(box.call(turn, switches, "lo", True) for box in many)
        assert last < 3 * first
    finally:
        switches.close()
        for box in boxes:
            box.close()
