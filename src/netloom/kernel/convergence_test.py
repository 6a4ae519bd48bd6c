"""From any state to any other: what the planner says and the kernel does ends where it should, and needs no second
step. The same random walks on the fake and on the real kernel; on the real one somebody also breaks things by hand.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from netloom.kernel.kernel_test import BOX, FakeWorld, RealWorld, World
from netloom.model.desired import Address, Bridge, Desired, Element, Neighbour, Route, Sysctl, Veth
from netloom.plan.diff import diff
from netloom.plan.steps import table


def network(number: int, chance: random.Random) -> list[Desired]:
    name, index = f"br-{number}", 1000000 + number
    wanted: list[Desired] = [
        Bridge(name, index, f"02:42:00:00:00:{number:02x}", chance.choice([1400, 1500]), f"netloom {number}"),
        Element("bridges", name.encode().ljust(16, b"\0")),
        Address(name, index, f"172.{16 + number}.0.1/{chance.choice([16, 24])}"),
    ]
    if chance.random() < 0.5:
        wanted.append(Sysctl(f"net/ipv4/conf/{name}/forwarding", "1"))
    if chance.random() < 0.5:
        verdict = chance.choice(["accept", "drop"])
        wanted.append(Element("pair", name.encode().ljust(16, b"\0"), verdict=verdict))  # type: ignore[arg-type]
    return wanted


def endpoint(number: int, bridge: Bridge, chance: random.Random) -> list[Desired]:
    link = Veth(
        name=f"nl{number:012x}",
        index=1000000 + number,
        mac=f"02:42:00:00:01:{number:02x}",
        mtu=bridge.mtu,
        master=bridge.name,
        master_index=bridge.index,
        sandbox=BOX,
        peer_name=f"eth{number}",
        peer_index=number,
        peer_mac=f"02:42:ac:12:00:{number:02x}",
        hairpin=chance.random() < 0.5,
    )
    ip = f"172.{16 + bridge.index - 1000000}.0.{number}"
    wanted: list[Desired] = [
        link,
        Address(link.peer_name, number, f"{ip}/16", BOX),
        Neighbour(bridge.name, bridge.index, ip, link.peer_mac),
    ]
    if chance.random() < 0.5:
        port = chance.choice([80, 81]).to_bytes(2, "big")
        key = b"\6\0\0\0" + number.to_bytes(1, "big") + b"\0\0\0"
        wanted.append(Element("published4", key, value=bytes([172, 18, 0, number]) + port + b"\0\0"))
    return wanted


def state(chance: random.Random) -> list[Desired]:
    """Up to three networks and five endpoints, at most one of which holds the default route."""
    wanted: list[Desired] = []
    bridges = []
    for number in (1, 2, 3):
        if chance.random() < 0.7:
            wanted += network(number, chance)
            bridges.append(number)
    made = {o.index - 1000000: o for o in wanted if isinstance(o, Bridge)}
    ends: list[Veth] = []
    for number in range(10, 15):
        home = 1 + number % 3  # an endpoint is on one network all its life
        if home in made and chance.random() < 0.6:
            objects = endpoint(number, made[home], chance)
            wanted += objects
            ends += [o for o in objects if isinstance(o, Veth)]
    if ends:
        end = chance.choice(ends)
        gateway = f"172.{16 + end.master_index - 1000000}.0.1"
        wanted.append(Route("default", gateway, end.peer_name, end.peer_index, BOX))
    return wanted


def everything(world: World) -> list[Desired]:
    return [*world.observe(), *world.observe_sandbox()]


def reconcile(world: World, wanted: list[Desired]) -> None:
    """As the engine does it: plan, apply, delete the fenced links."""
    steps = diff(wanted, everything(world))
    world.apply(steps)
    for step in steps:
        if step.verb == "del" and isinstance(step.what, (Bridge, Veth)):
            world.delete(step.what.index)


def check(world: World, wanted: list[Desired], story: str) -> None:
    left = diff(wanted, everything(world))
    assert left == [], f"{story}\n{table(left)}"


@pytest.mark.parametrize("seed", range(40))
def test_random_walks_on_the_fake(seed: int) -> None:
    walk(FakeWorld(), random.Random(seed), 8, [])


@pytest.mark.parametrize("walker", range(4))
def test_random_walks_on_the_real_kernel_with_somebody_who_breaks_things(seed: int, walker: int) -> None:
    walk(RealWorld(), random.Random(seed + walker), 8, [by_hand, lost_rules])


def test_very_many_random_walks(seed: int, time_left: Callable[[], bool]) -> None:
    walker = 4
    while time_left():
        walk(RealWorld(), random.Random(seed + walker), 8, [by_hand, lost_rules])
        walker += 1


Vandal = Callable[[RealWorld, random.Random], str]


def by_hand(world: RealWorld, chance: random.Random) -> str:
    """One thing that a person might do to one of our links."""
    links = [o for o in world.observe() if isinstance(o, (Bridge, Veth))]
    if not links:
        return "nothing"
    link = chance.choice(links)
    commands = [f"link set {link.name} down", f"link set {link.name} mtu 1300", f"link del {link.name}"]
    if isinstance(link, Veth):
        commands += [f"link set {link.name} nomaster", f"link set {link.name} address 02:00:00:00:00:99"]
    else:
        commands += [f"addr flush dev {link.name}", f"addr add 10.99.0.1/24 dev {link.name}"]
    command = chance.choice(commands)
    world.host.run("ip", *command.split())
    return f"ip {command}"


def lost_rules(world: RealWorld, chance: random.Random) -> str:
    """Another program resets the firewall, or a part of it."""
    command = chance.choice(["flush ruleset", "flush set inet netloom bridges", "delete table inet netloom"])
    world.observe()  # the table is there
    world.host.run("nft", *command.split())
    return f"nft {command}"


def walk(world: FakeWorld | RealWorld, chance: random.Random, steps: int, vandals: list[Vandal]) -> None:
    try:
        for _ in range(steps):
            wanted = state(chance)
            reconcile(world, wanted)
            check(world, wanted, "after a step")
            if vandals and isinstance(world, RealWorld):
                story = chance.choice(vandals)(world, chance)
                reconcile(world, wanted)
                check(world, wanted, story)
        reconcile(world, [])
        check(world, [], "at the end")
        assert world.observe() == []
    finally:
        world.close()
