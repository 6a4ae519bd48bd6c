"""Every operation with every call of every seam failing: once, for good, and by the daemon's death."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from netloom.model.endpoint import EndpointConfig
from netloom.testing.engine_world import World, publish, static
from netloom.testing.failures import break_each, die_at_each, fail_each, leave_each

Part = Callable[[World], Awaitable[object]]


async def nothing(world: World) -> None:
    pass


async def two_networks(world: World) -> None:
    await world.network("red", "10.1.0.0/24")
    await world.network("blue", "10.2.0.0/24", ipv6=True)


async def a_config(world: World) -> None:
    await world.network("settings", "10.5.0.0/24", config_only=True)


async def created(world: World) -> None:
    await two_networks(world)
    await world.container(
        "web",
        "red",
        networks={"red": static("10.1.0.7"), "blue": static(gw_priority=5)},
        ports=publish("127.0.0.1:8080", ""),
    )


async def running(world: World) -> None:
    await created(world)
    await world.engine.start("web")


async def on_red(world: World) -> None:
    await two_networks(world)
    await world.container("web", "red", ports=publish("8080"), start=True)
    await world.container("db", "red", start=True)


async def beside_routed(world: World) -> None:
    await on_red(world)
    routed = {f"com.docker.network.bridge.gateway_mode_ipv{family}": "routed" for family in (4, 6)}
    await world.network("green", "10.9.0.0/24", options=routed)


async def on_routed(world: World) -> None:
    await beside_routed(world)
    await world.engine.connect("green", "web", static(gw_priority=9))


async def stopped(world: World) -> None:
    await two_networks(world)
    await world.container("web", "red", networks={"red": static("10.1.0.7")})


async def removed_by_itself(world: World) -> None:
    await two_networks(world)
    await world.container("web", "red", ports=publish("8080"), start=True, auto_remove=True)


async def pair(world: World) -> None:
    await running(world)
    await world.container("side", f"container:{world.engine.container('web').id}")
    await world.container("bare", "host")
    await world.container("alone", "none")


async def on_internal(world: World) -> None:
    await world.network("in", "10.3.0.0/24", internal=True)
    await world.network("blue", "10.2.0.0/24")
    await world.container("web", "in", ports=publish("8080"), start=True)


async def on_parents(world: World) -> None:
    await world.network("lan", "10.4.0.0/24", driver="macvlan", options={"parent": "up0"})
    await world.network("vlan", "10.6.0.0/24", driver="macvlan", options={"parent": "up0.7"})
    await world.network("red", "10.1.0.0/24")
    await world.container(
        "web",
        "lan",
        networks={"lan": static("10.4.0.7", mac="02:00:00:00:00:07"), "vlan": static()},
        ports=publish("8080"),
        start=True,
    )


async def a_vlan(world: World) -> None:
    await world.network("vlan", "10.6.0.0/24", driver="macvlan", options={"parent": "up0.7"})


ON_LANS: dict[str, tuple[str, dict[str, str]]] = {
    "port": ("bridge", {"parent": "lan0"}),
    "vlan-port": ("bridge", {"parent": "lan0.7"}),
    "adopted": ("bridge", {"com.docker.network.bridge.name": "br0"}),
    "shim": ("macvlan", {"parent": "up0", "host_access": "true"}),
    "wire": ("device", {"parent": "lan1"}),
}


async def on_lans(world: World) -> None:
    for number, (name, (driver, options)) in enumerate(ON_LANS.items()):
        if name != "vlan-port":
            await world.network(name, f"10.5{number}.0.0/24", driver=driver, options=options)
    networks = {name: static() for name in ON_LANS if name != "vlan-port"}
    await world.container("web", "port", networks=networks, start=True)


def lan_network(name: str) -> Part:
    async def act(world: World) -> None:
        driver, options = ON_LANS[name]
        await world.network(name, "10.50.0.0/24", driver=driver, options=options)

    return act


def without(name: str) -> Part:
    async def act(world: World) -> None:
        await world.engine.delete_network(name)

    return act


def leaves(name: str) -> Part:
    async def act(world: World) -> None:
        await world.engine.disconnect(name, "web", force=False)

    return act


def comes(name: str) -> tuple[Part, Part]:
    async def prepare(world: World) -> None:
        await on_lans(world)
        await leaves(name)(world)

    async def act(world: World) -> None:
        await world.engine.connect(name, "web", EndpointConfig())

    return prepare, act


async def by_policy(world: World) -> None:
    await two_networks(world)
    await world.container("web", "red", ports=publish("8080"), start=True, restart="always")


async def waiting(world: World) -> None:
    await by_policy(world)
    await ends(world)
    await world.settle()


async def ends(world: World) -> None:
    waiting = asyncio.ensure_future(world.engine.wait("web", "next-exit"))
    await asyncio.sleep(0)
    world.end("web", 3)
    await waiting


async def due(world: World) -> None:
    world.clock.step(world.clock.time + 100_000_000)
    while tasks := set(world.engine._restarting._tasks):
        await asyncio.wait(tasks)


SCENARIOS: dict[str, tuple[Part, Part]] = {
    "network create": (nothing, lambda w: w.network("red", "10.1.0.0/24")),
    "network create, two families": (nothing, lambda w: w.network("red", ipv6=True)),
    "network create --config-only": (nothing, lambda w: w.network("settings", "10.5.0.0/24", config_only=True)),
    "network create --config-from": (a_config, lambda w: w.network("red", config_from="settings")),
    "network rm": (two_networks, lambda w: w.engine.delete_network("blue")),
    "create": (two_networks, lambda w: w.container("web", "red", networks={"red": static("10.1.0.7")})),
    "start": (created, lambda w: w.engine.start("web")),
    "kill": (running, lambda w: w.engine.kill("web", "KILL")),
    "stop": (running, lambda w: w.engine.stop("web", timeout=5)),
    "restart, --rm": (removed_by_itself, lambda w: w.engine.restart("web", timeout=5)),
    "end": (running, ends),
    "end, --rm": (removed_by_itself, ends),
    "stop, of one with a policy": (by_policy, lambda w: w.engine.stop("web", timeout=5)),
    "end, of one with a policy": (by_policy, ends),
    "stop, of one that waits": (waiting, lambda w: w.engine.stop("web", timeout=5)),
    "rm --force, of one that waits": (waiting, lambda w: w.engine.remove("web", force=True, volumes=False, link=False)),
    "rm --force": (running, lambda w: w.engine.remove("web", force=True, volumes=False, link=False)),
    "start, container:": (pair, lambda w: w.engine.start("side")),
    "start, host": (pair, lambda w: w.engine.start("bare")),
    "start, none": (pair, lambda w: w.engine.start("alone")),
    "connect, ports get out": (on_internal, lambda w: w.engine.connect("blue", "web", EndpointConfig())),
    "rm": (created, lambda w: w.engine.remove("web", force=False, volumes=False, link=False)),
    "rename": (running, lambda w: w.engine.rename("web", "shop")),
    "connect": (on_red, lambda w: w.engine.connect("blue", "db", static("10.2.0.9"))),
    "connect, gateway and ports move": (on_red, lambda w: w.engine.connect("blue", "web", static(gw_priority=1))),
    "connect, ports are let go of": (
        beside_routed,
        lambda w: w.engine.connect("green", "web", static(gw_priority=9)),
    ),
    "disconnect, ports are taken again": (on_routed, lambda w: w.engine.disconnect("green", "web", force=False)),
    "disconnect": (running, lambda w: w.engine.disconnect("red", "web", force=False)),
    "disconnect, gateway and ports move": (running, lambda w: w.engine.disconnect("blue", "web", force=False)),
    "connect, stopped": (stopped, lambda w: w.engine.connect("blue", "web", static("10.2.0.9"))),
    "disconnect, stopped": (stopped, lambda w: w.engine.disconnect("red", "web", force=False)),
}

SCENARIOS |= {
    "network create, on a VLAN": (nothing, a_vlan),
    "network create, on a VLAN that stands": (
        a_vlan,
        lambda w: w.network("too", "10.7.0.0/24", driver="macvlan", options={"parent": "up0.7"}),
    ),
    "network rm, on a VLAN": (a_vlan, lambda w: w.engine.delete_network("vlan")),
    "restart, on parents": (on_parents, lambda w: w.engine.restart("web", timeout=5)),
    "end, on parents": (on_parents, ends),
    "connect, ports get out, on parents": (
        on_parents,
        lambda w: w.engine.connect("red", "web", static(gw_priority=1)),
    ),
    "disconnect, on parents": (on_parents, lambda w: w.engine.disconnect("vlan", "web", force=False)),
}

for _name in ON_LANS:
    SCENARIOS[f"network create, {_name}"] = (nothing, lan_network(_name))
    SCENARIOS[f"network rm, {_name}"] = (lan_network(_name), without(_name))
    if _name != "vlan-port":
        SCENARIOS[f"connect, {_name}"] = comes(_name)
        SCENARIOS[f"disconnect, {_name}"] = (on_lans, leaves(_name))
SCENARIOS |= {
    "restart, on LANs": (on_lans, lambda w: w.engine.restart("web", timeout=5)),
    "end, on LANs": (on_lans, ends),
}

WAYS = {"from": {"network": "red"}, "to": {"network": "blue"}, "ports": [80]}
SHOP = {
    "name": "shop",
    "default": {"red": "deny"},
    "allow": [{"from": {"container": "web"}, "to": {"cidr": "192.0.2.0/24"}}, WAYS],
    "deny": [{"to": {"network": "blue"}, "ports": ["80-90/udp"]}],
}
NAMES = {"name": "shop", "allow": [{"from": {"network": "red"}, "to": {"name": "a.test"}}]}


async def policed(world: World) -> None:
    await running(world)
    await world.engine.apply_policy(SHOP, dry_run=False)


async def with_names(world: World) -> None:
    await running(world)
    await world.engine.apply_policy(NAMES, dry_run=False)


async def policed_and_stopped(world: World) -> None:
    await stopped(world)
    await world.engine.apply_policy(SHOP, dry_run=False)


SCENARIOS |= {
    "policy apply": (running, lambda w: w.engine.apply_policy(SHOP, dry_run=False)),
    "policy apply --dry-run": (policed, lambda w: w.engine.apply_policy(SHOP, dry_run=True)),
    "policy apply, names": (policed, lambda w: w.engine.apply_policy(NAMES, dry_run=False)),
    "policy rm": (policed, lambda w: w.engine.remove_policy("shop")),
    "policy rm, names": (with_names, lambda w: w.engine.remove_policy("shop")),
    "start, under policies": (policed_and_stopped, lambda w: w.engine.start("web")),
    "connect, under policies": (policed_and_stopped, lambda w: w.engine.connect("blue", "web", static("10.2.0.9"))),
    "disconnect, under policies": (policed, lambda w: w.engine.disconnect("blue", "web", force=False)),
    "rename, under policies": (policed, lambda w: w.engine.rename("web", "shop")),
}

IN_PARTS = (
    "restart, on LANs",
    "restart, --rm",
    "rm --force",
    "rm --force, of one that waits",
    "stop, of one with a policy",
    "restart, on parents",
)  # whose first part stands when the second fails

each_scenario = pytest.mark.parametrize("name", SCENARIOS)


@each_scenario
async def test_one_call_fails(name: str) -> None:
    tried = await fail_each(*SCENARIOS[name], blind=_without_blame, whole=name not in IN_PARTS)
    assert tried


@each_scenario
async def test_a_seam_breaks(name: str) -> None:
    assert await break_each(*SCENARIOS[name])


@each_scenario
async def test_the_client_leaves(name: str) -> None:
    assert await leave_each(*SCENARIOS[name])


@each_scenario
async def test_the_daemon_dies(name: str) -> None:
    assert await die_at_each(*SCENARIOS[name])


async def test_the_daemon_dies_over_a_start_by_policy() -> None:
    assert await die_at_each(waiting, due)


async def test_a_seam_breaks_over_a_start_by_policy() -> None:
    assert await break_each(waiting, due)


def _without_blame(state: dict[str, Any]) -> dict[str, Any]:
    """A container remembers why its start failed."""
    forgiven = {
        key: replace(c, state=replace(c.state, error="", exit_code=0)) for key, c in state["containers"].items()
    }
    return {**state, "containers": forgiven}
