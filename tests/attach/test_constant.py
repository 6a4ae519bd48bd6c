"""The price of a connect does not grow: messages, elements, rows and bytes of a late one equal those of an early one.

The engine, the store and the kernel are real; only the containers' processes are left out, so that hundreds of
endpoints stand in seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from netloom.daemon.files import DiskFiles
from netloom.daemon.main import SystemClock
from netloom.drivers.registry import driver
from netloom.engine.core import Core
from netloom.engine.engine import Engine
from netloom.engine.ports import Launch, Launched, Namespace
from netloom.engine.settings import Settings
from netloom.engine.tables import Row, Tables
from netloom.engine.worker import Worker
from netloom.events.bus import Bus
from netloom.firewall.render import load
from netloom.firewall.rules import ruleset
from netloom.images.store import ImageStore
from netloom.ipam.space import AddressSpace
from netloom.kernel import namespace
from netloom.kernel.host import HostKernel, Ruleset
from netloom.kernel.links import Deleter
from netloom.model.container import ContainerConfig, ContainerRequest
from netloom.model.desired import Element, Step
from netloom.model.endpoint import EndpointConfig, EndpointIpam
from netloom.model.host_config import HostConfig
from netloom.model.network import IpamConfig, NetworkRequest
from netloom.store.sqlite import SqliteStore
from netloom.testing.fake_dataplane import FakeDataPlane
from netloom.testing.fake_dhcp import FakeDhcp
from netloom.testing.fake_volumes import FakeVolumes
from netloom.testing.hosts import Host

MANY = 520 if os.environ.get("NETLOOM_SOAK") else 120


OPTIONS = {"bridge": {"com.docker.network.advertise_addr_nmsgs": "0"}, "macvlan": {"parent": "eth0"}}


class Price(NamedTuple):
    """What one connect cost."""

    messages: int
    elements: int
    rows: int
    row_bytes: int


class Counting(SqliteStore):
    """The real store, with a tally."""

    rows = 0
    row_bytes = 0

    def commit(self, changes: Sequence[Row], *, durable: bool) -> None:
        self.rows += len(changes)
        self.row_bytes += sum(len(body or b"") for _, _, body in changes)
        super().commit(changes, durable=durable)


class CountingKernel(HostKernel):
    """The real kernel, with a tally of elements."""

    elements = 0

    def apply(self, steps: Sequence[Step], sandboxes: Any) -> None:
        self.elements += sum(isinstance(s.what, Element) for s in steps)
        super().apply(steps, sandboxes)


class Empty:
    """A runtime whose containers are empty namespaces; also makes them."""

    def __init__(self) -> None:
        self._pids = itertools.count(1000)  # of equal length, or the rows would differ by it
        self._held: dict[int, int] = {}

    async def create(self, launch: Launch) -> Launched:
        pid = next(self._pids)
        self._held[pid] = os.dup(launch.netns)
        return Launched(pid=pid, conmon_pid=pid)

    def from_fd(self, fd: int) -> Namespace:
        return namespace.FdNamespace(fd)

    def from_process(self, pid: int) -> Namespace:
        return namespace.FdNamespace(os.dup(self._held[pid]))

    def close(self) -> None:
        for fd in self._held.values():
            os.close(fd)

    def watch(self, *_: Any) -> None:
        return None

    async def survivors(self) -> list[Any]:
        return []

    def __getattr__(self, name: str) -> Any:
        async def nothing(*_: Any, **__: Any) -> None:
            return None

        return nothing


@pytest.fixture
def host() -> Any:
    with Host(uplink=True) as host:
        yield host


@pytest.mark.parametrize("driver", ["bridge", "macvlan"])
def test_the_late_connect_costs_what_the_early_one_did(host: Host, tmp_path: Path, driver: str) -> None:
    def inside() -> dict[int, Price]:
        namespace.setns(host.fd)
        return asyncio.run(connects(tmp_path, driver))

    prices = namespace.in_thread(inside)
    assert prices[5].messages > 3
    assert prices[5].rows >= 3
    assert prices[5] == prices[MANY]


def test_policies_do_not_make_it_dearer(host: Host, tmp_path: Path) -> None:
    """1,000 entries, of which one chooses the container: its identity's elements, and no message more."""

    def inside() -> list[dict[int, Price]]:
        namespace.setns(host.fd)
        return [asyncio.run(connects(tmp_path / str(count), "bridge", entries=count, many=8)) for count in (0, 1, 1000)]

    none, one, thousand = namespace.in_thread(inside)
    assert one[8].elements == none[8].elements + 2, "who it is, as sender and as receiver"
    assert thousand[8] == one[8]
    assert thousand[5] == thousand[8]


def _entry(number: int) -> dict[str, Any]:
    """One of many; the first is of the containers that come."""
    return {
        "from": {"label": f"number={number}"},
        "to": {"cidr": f"192.0.{number // 256}.{number % 256}"},
        "ports": [80],
    }


async def connects(directory: Path, kind: str, *, entries: int = 0, many: int = MANY) -> dict[int, Price]:
    """Prices by the number of the connect."""
    directory.mkdir(exist_ok=True)
    rules = ruleset()
    kernel = CountingKernel(Ruleset(rules.version, load(rules)))
    kernel.ensure_ruleset()
    store = Counting(directory)
    worker = Worker(kernel, store)
    worker.start()
    links, empty = Deleter(), Empty()
    core = Core(
        tables=Tables(),
        settings=Settings(state_dir=str(directory), run_dir=str(directory), instance="00000000"),
        worker=worker,
        links=links,
        runtime=empty,  # type: ignore[arg-type]
        dataplane=FakeDataPlane(),
        files=DiskFiles(str(directory)),
        images=ImageStore(),
        volumes=FakeVolumes(),
        drivers=driver,
        namespaces=empty,  # type: ignore[arg-type]
        dhcp=FakeDhcp(),
        space=AddressSpace(),
        bus=Bus(),
        clock=SystemClock(),
        random=os.urandom,
    )
    engine = Engine(core)
    core.stale = lambda: False  # nobody changes the host
    try:
        await engine.recover()
        await engine.create_network(
            NetworkRequest(
                name="big",
                ipam_config=(IpamConfig(subnet="10.80.0.0/16"),),
                driver=kind,
                options=OPTIONS[kind],
            )
        )
        prices = {}
        if entries:
            await engine.apply_policy({"name": "many", "deny": [_entry(n) for n in range(entries)]}, dry_run=False)
        for number in range(1, many + 1):
            # ids and numbers of equal length, or the rows' bytes would differ by those
            name = f"c{1000 + number}"
            core.numbers_used(10_000)
            await engine.create_container(
                ContainerRequest(
                    name=name,
                    config=ContainerConfig(image="host", cmd=("sleep", "1"), labels={"number": "0"}),
                    host_config=HostConfig(network_mode="none"),
                )
            )
            await engine.disconnect("none", name, force=False)
            await engine.start(name)
            before = (kernel.messages_sent, kernel.elements, store.rows, store.row_bytes)
            address = f"10.80.{100 + number // 100}.{100 + number % 100}"
            await engine.connect("big", name, EndpointConfig(ipam=EndpointIpam(ipv4=address)))
            after = (kernel.messages_sent, kernel.elements, store.rows, store.row_bytes)
            prices[number] = Price(*(b - a for a, b in zip(before, after, strict=True)))
        return prices
    finally:
        await worker.stop()
        await links.close()
        store.close()
        kernel.close()
        empty.close()
