from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import msgspec
import pytest

from netloom.kernel import kernel_test as samples
from netloom.kernel.kernel_test import RealWorld
from netloom.kernel.links import Deleter
from netloom.kernel.monitor import Changes, Monitor
from netloom.model.desired import Address, Step
from netloom.plan.diff import absent, diff


@pytest.fixture
def world() -> Iterator[RealWorld]:
    made = RealWorld()
    yield made
    made.close()


def listen(world: RealWorld, scene: Callable[[], None], *, until: Callable[[Changes], bool]) -> list[Changes]:
    """What the monitor tells while the scene is played, up to the change that ends it."""

    async def run() -> list[Changes]:
        told: list[Changes] = []
        over = asyncio.Event()

        def changed(changes: Changes) -> None:
            told.append(changes)
            if until(changes):
                over.set()

        monitor = Monitor(changed, world.kernel.port_ids)
        try:
            scene()
            await asyncio.wait_for(over.wait(), 10)
        finally:
            monitor.close()
            monitor.close()
        return told

    return world.on(lambda: asyncio.run(run()))


def by_hand(world: RealWorld, *command: str) -> Callable[[], None]:
    def scene() -> None:
        world.host.run(*command)

    return scene


def named(*names: str) -> Callable[[Changes], bool]:
    return lambda changes: set(names) <= changes.links


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("ip link set br-1 down", "br-1"),
        ("ip link set nl000000000002 nomaster", "nl000000000002"),
        ("ip link del nl000000000002", "nl000000000002"),
        ("ip addr del 172.18.0.1/16 dev br-1", "br-1"),
        ("ip link set nl000000000002 mtu 1280", "nl000000000002"),
        ("ip link set br-1 alias theirs", "br-1"),
        ("ip link set nl000000000002 name theirs", "nl000000000002"),
    ],
)
def test_a_change_by_hand_names_the_link(world: RealWorld, command: str, name: str) -> None:
    world.apply(diff([*samples.NETWORK, *samples.endpoint()], []))
    told = listen(world, by_hand(world, *command.split()), until=named(name))
    assert not any(changes.lost for changes in told)


def test_an_ipv6_address_that_somebody_takes_names_the_link(world: RealWorld) -> None:
    address = Address("br-1", samples.BRIDGE.index, "fd00:18::1/64")
    world.apply(diff([msgspec.structs.replace(samples.BRIDGE, ipv6=True), address], []))
    listen(world, by_hand(world, *"ip addr del fd00:18::1/64 dev br-1".split()), until=named("br-1"))


def test_our_own_work_is_not_told(world: RealWorld) -> None:
    """The change by hand at the end proves that all before it was heard."""
    everything = [*samples.NETWORK, *samples.endpoint()]

    def scene() -> None:
        world.kernel.apply(diff(everything, []), {samples.BOX: world.box})
        world.kernel.apply([Step("del", samples.endpoint()[0])], {})

    def then() -> None:
        scene()
        world.host.run("ip", "link", "add", "theirs", "type", "bridge")

    told = listen(world, then, until=lambda changes: changes.facts)
    assert told == [Changes(facts=True)]


def test_the_ruleset_flushed(world: RealWorld) -> None:
    told = listen(world, by_hand(world, "nft", "flush", "ruleset"), until=lambda changes: changes.ruleset)
    assert told == [Changes(ruleset=True, own_ruleset=True)]


def test_another_programs_firewall(world: RealWorld) -> None:
    command = by_hand(world, "nft", "add", "table", "ip", "theirs")
    assert listen(world, command, until=lambda changes: changes.ruleset) == [Changes(ruleset=True)]


def test_lost_notifications_are_told(world: RealWorld) -> None:
    """The receive buffer overruns while the loop is busy."""
    lines = "".join(f"route add 10.{n >> 8}.{n & 255}.0/24 dev lo\n" for n in range(30000))

    def scene() -> None:
        world.host.run("ip", "-batch", "-", stdin=lines)

    assert any(changes.lost for changes in listen(world, scene, until=lambda changes: changes.lost))


@pytest.mark.parametrize(
    "command",
    ["ip addr add 10.1.1.1/24 dev lo", "ip route add 10.2.0.0/16 dev lo", "ip link set lo down"],
)
def test_what_is_not_ours_changes_the_facts(world: RealWorld, command: str) -> None:
    told = listen(world, by_hand(world, *command.split()), until=lambda changes: changes.facts)
    assert told == [Changes(facts=True)]


@pytest.mark.parametrize(
    "command",
    [
        "ip route add 10.2.0.0/16 dev lo",
        "ip route add 10.2.0.0/16 dev lo table 52",
        "ip addr add 10.1.1.1/24 dev lo",
        "ip link add theirs type bridge",
    ],
)
def test_who_asks_at_once_knows_that_somebody_changed_the_host(world: RealWorld, command: str) -> None:
    """Before anything is told, and no longer once it has been; our own work does not count."""
    everything = [*samples.NETWORK, *samples.endpoint()]

    async def run() -> list[bool]:
        told = asyncio.Event()
        monitor = Monitor(lambda changes: told.set(), world.kernel.port_ids)
        try:
            answers = [monitor.behind()]
            world.kernel.apply(diff(everything, []), {samples.BOX: world.box})
            answers.append(monitor.behind())
            world.host.run(*command.split())
            answers += [monitor.behind(), monitor.behind()]
            await asyncio.wait_for(told.wait(), 10)
            answers.append(monitor.behind())
        finally:
            monitor.close()
        return answers

    assert world.on(lambda: asyncio.run(run())) == [False, False, True, True, False]


def test_what_a_link_is_said_to_be_again_is_no_news(world: RealWorld) -> None:
    """A macvlan of ours has its parent told of; one who saw a change in the midst of it hears that it was undone."""
    world.host.run(*"ip link add theirs type veth peer name others".split())

    async def run() -> list[bool]:
        told: list[Changes] = []
        monitor = Monitor(told.append, world.kernel.port_ids)
        try:
            world.host.run(
                *"ip link add link theirs name child netns".split(), world.inner.netns_path, "type", "macvlan"
            )
            answers = []
            for mtu in (1500, 1400, 1500):
                world.host.run(*f"ip link set theirs mtu {mtu}".split())
                answers.append(monitor.behind())
        finally:
            monitor.close()
        return answers

    assert world.on(lambda: asyncio.run(run())) == [False, True, True]


def test_who_asks_while_more_is_queued_than_can_be_read_is_told_to_look(world: RealWorld) -> None:
    lines = "".join(f"route add 10.{n >> 8}.{n & 255}.0/24 dev lo\n" for n in range(2000))

    async def run() -> bool:
        monitor = Monitor(lambda changes: None, world.kernel.port_ids)
        try:
            world.host.run("ip", "-batch", "-", stdin=lines)
            return monitor.behind()
        finally:
            monitor.close()

    assert world.on(lambda: asyncio.run(run()))


def test_a_link_that_we_deleted_is_told_by_name(world: RealWorld) -> None:
    world.apply(diff([*samples.NETWORK, *samples.endpoint()], []))
    world.apply(absent(samples.endpoint()))

    async def run() -> Changes:
        told: asyncio.Future[Changes] = asyncio.get_running_loop().create_future()
        monitor = Monitor(told.set_result, world.kernel.port_ids)
        deleter = Deleter()
        try:
            await deleter.delete(1000002)
            return await asyncio.wait_for(told, 10)
        finally:
            await deleter.close()
            monitor.close()

    assert world.on(lambda: asyncio.run(run())) == Changes(links=frozenset({"nl000000000002"}))


@pytest.mark.parametrize(
    "path", ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding"]
)
def test_the_hosts_forwarding_is_a_fact(world: RealWorld, path: str) -> None:
    def scene() -> None:
        former = world.host.sysctl(path)
        world.host.sysctl(path, "0" if former == "1" else "1")

    assert listen(world, scene, until=lambda changes: changes.facts)
