"""Beside a real libvirt: its network's rules stand, ours pass, and neither reaches into the other's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from programs import Programs
from traffic import Web, serving

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host, Netns, eventually

pytestmark = pytest.mark.root

GUEST, GATEWAY = "192.168.122.9", "192.168.122.1"
VIRSH = ("virsh", "-q", "-c", "network:///system")
# Its package's own set-up, and no driver but that of networks: there is neither udev nor /dev/kvm.
PREPARE = """
mkdir -p /run/libvirt /var/lib/libvirt/dnsmasq /var/log/libvirt
touch /etc/libvirt/libvirtd.conf
cd /usr/lib/*/libvirt/connection-driver && ls | grep -v network.so | xargs rm
getent passwd libvirt-dnsmasq || useradd -r libvirt-dnsmasq
"""


@pytest.fixture
def libvirt(host: Host, tmp_path: Path) -> Iterator[Programs]:
    """Its network `default`, on virbr0."""
    with Programs(host, tmp_path) as programs:
        programs.run("sh", "-c", PREPARE)
        programs.start("libvirtd")
        eventually((programs.root / "run/libvirt/libvirt-sock").exists, what="libvirtd", timeout=30)
        programs.run(*VIRSH, "net-create", "/usr/share/libvirt/networks/default.xml")
        yield programs
        programs.run(*VIRSH, "net-destroy", "default")  # its dnsmasq too


@pytest.fixture
def guest(host: Host, libvirt: Programs) -> Iterator[Netns]:
    """In a virtual machine's place: a port of virbr0."""
    with Netns() as one:
        host.run("ip", "link", "add", "vnet0", "type", "veth", "peer", "name", "eth0", "netns", one.netns_path)
        host.run("ip", "link", "set", "vnet0", "master", "virbr0", "up")
        one.run("ip", "addr", "add", f"{GUEST}/24", "dev", "eth0")
        one.run("ip", "link", "set", "eth0", "up")
        one.run("ip", "route", "add", "default", "via", GATEWAY)
        eventually(lambda: one.ping(GATEWAY, timeout=0.3), what="the guest's gateway", timeout=30)
        yield one
        host.run("ip", "link", "del", "vnet0")


def rules(host: Host) -> str:
    """Everybody's but ours, without what is counted."""
    listed = host.run("nft", "-s", "list", "ruleset")
    parts = listed.strip().split("\ntable ")
    return "\n".join(part for part in parts if " netloom {" not in part.partition("\n")[0])


def test_both_pass_and_neither_reaches_the_other(host: Host, libvirt: Programs, guest: Netns, tmp_path: Path) -> None:
    before = rules(host)
    with ExitStack() as stack:
        daemon = stack.enter_context(Daemon(host, tmp_path / "daemon"))
        web = Web(daemon, stack)
        stack.enter_context(serving(guest, 80))
        eventually(web.passes, what="our traffic beside libvirt")
        assert guest.reaches(OUTSIDE4, 80)
        assert guest.reaches(host.address4, 8080), "a published port is everybody's"
        own = daemon.inspect("web")["NetworkSettings"]["Networks"]["red"]["IPAddress"]
        assert guest.misses(own, 80)
        assert web.place.misses(GUEST, 80)
        assert rules(host) == before
        # It comes anew, and both still pass.
        libvirt.run(*VIRSH, "net-destroy", "default")
        libvirt.run(*VIRSH, "net-create", "/usr/share/libvirt/networks/default.xml")
        host.run("ip", "link", "set", "vnet0", "master", "virbr0")
        guest.run("ip", "neigh", "flush", "all")  # virbr0 has another MAC each time
        eventually(lambda: guest.reaches(OUTSIDE4, 80), what="the guest's way out", timeout=30)  # its bridge learns
        assert web.passes()
        daemon.docker("rm", "-f", "web")
        daemon.docker("network", "rm", "red")
        daemon.stop()
        assert rules(host) == before
        daemon.start()
