"""What any kernel does for the engine: one suite for the fake and for the real one."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import msgspec
import pytest

from netloom.kernel import namespace
from netloom.kernel.host import HostKernel, Ruleset
from netloom.kernel.links import Deleter
from netloom.model.desired import (
    Address,
    Bridge,
    Child,
    Desired,
    Element,
    HostLink,
    Neighbour,
    Route,
    Step,
    Sysctl,
    Veth,
)
from netloom.model.errors import KernelError
from netloom.plan.diff import absent, diff
from netloom.testing.fake_kernel import FakeKernel
from netloom.testing.hosts import Netns, eventually

T = TypeVar("T")

BOX = "b" * 64
RULES = Ruleset(
    "version_1",
    """table inet netloom {
        set version_1 { type ifname; }
        set bridges { type ifname; }
        map published4 { type inet_proto . inet_service : ipv4_addr . inet_service; }
        map pair { type ifname : verdict; }
    }
    table bridge netloom {
        set version_1 { type ifname; }
    }""",
)

BRIDGE = Bridge("br-1", 1000001, "02:42:00:00:00:01", 1450, "netloom 1")
NETWORK: list[Desired] = [
    BRIDGE,
    Address("br-1", 1000001, "172.18.0.1/16"),
    Sysctl("net/ipv4/conf/br-1/forwarding", "1"),
    Element("bridges", b"br-1".ljust(16, b"\0")),
    Element("pair", b"br-1".ljust(16, b"\0"), verdict="accept"),
]


def veth(number: int, sandbox: str = BOX, **fields: Any) -> Veth:
    one = Veth(
        name=f"nl{number:012x}",
        index=1000000 + number,
        mac=f"02:42:00:00:00:{number:02x}",
        mtu=1450,
        master="br-1",
        master_index=1000001,
        sandbox=sandbox,
        peer_name=f"eth{number - 2}",
        peer_index=number,
        peer_mac=f"02:42:ac:12:00:{number:02x}",
        hairpin=True,
    )
    return msgspec.structs.replace(one, **fields)


def endpoint(number: int = 2) -> list[Desired]:
    link = veth(number)
    return [
        Element("published4", b"\6\0\0\0\0\x50\0\0", value=bytes([172, 18, 0, number, 0, 80, 0, 0])),
        link,
        Neighbour("br-1", 1000001, f"172.18.0.{number}", link.peer_mac),
        Address(link.peer_name, link.peer_index, f"172.18.0.{number}/16", BOX),
        Route("default", "172.18.0.1", link.peer_name, link.peer_index, BOX),
    ]


def child(number: int = 2, **fields: Any) -> list[Desired]:
    one = Child(
        "macvlan", BOX, f"eth{number - 2}", 1000000 + number, "up0", "bridge", mac=f"02:42:0a:00:00:{number:02x}"
    )
    one = msgspec.structs.replace(one, **fields)
    return [
        one,
        Address(one.name, one.index, f"192.0.2.{number}/24", BOX),
        Route("default", "192.0.2.1", one.name, one.index, BOX),
    ]


class World(Protocol):
    """A host with one sandbox, named BOX, and an interface up0 of somebody where a test asks for it."""

    def apply(self, steps: list[Step]) -> None: ...
    def observe(self) -> list[Desired]: ...
    def observe_sandbox(self) -> list[Desired]: ...
    def delete(self, index: int) -> None: ...
    def delete_inside(self, index: int) -> None: ...
    def get_up0(self) -> None: ...
    def lose_up0(self) -> None: ...
    def end_sandbox(self) -> None: ...
    def can_leave(self, link: str) -> bool: ...
    def rename(self, link: str) -> None: ...
    def restore_names(self, meant: dict[int, tuple[str, str]]) -> list[str]: ...


class FakeWorld:
    def __init__(self) -> None:
        self.kernel = FakeKernel()
        self.box = namespace.FdNamespace(self.kernel.new_namespace())

    def apply(self, steps: list[Step]) -> None:
        self.kernel.apply(steps, {BOX: self.box})

    def observe(self) -> list[Desired]:
        return self.kernel.observe()

    def observe_sandbox(self) -> list[Desired]:
        return self.kernel.observe_sandbox(self.box, BOX)

    def delete(self, index: int) -> None:
        asyncio.run(self.kernel.delete(index))

    def delete_inside(self, index: int) -> None:
        asyncio.run(self.kernel.delete_inside(index, self.box, BOX))

    def get_up0(self) -> None:
        self.kernel.know(interfaces=(HostLink("lo", 1), HostLink("up0", 2)))

    def lose_up0(self) -> None:
        self.kernel.know(interfaces=(HostLink("lo", 1),))
        self.kernel.parent_gone("up0")

    def end_sandbox(self) -> None:
        self.box.close()
        self.kernel.end_sandbox(BOX)

    def can_leave(self, link: str) -> bool:
        return self.kernel.can_leave(link)

    def rename(self, link: str) -> None:
        self.kernel.renamed.add(link)

    def restore_names(self, meant: dict[int, tuple[str, str]]) -> list[str]:
        return self.kernel.restore_names(meant)

    def close(self) -> None:
        self.box.close()


class RealWorld:
    """All calls come from one thread, which lives in the host's namespace."""

    def __init__(self) -> None:
        self.host = Netns()
        self.thread = ThreadPoolExecutor(1, initializer=namespace.setns, initargs=(self.host.fd,))
        self.kernel = self.on(lambda: HostKernel(RULES))
        self.on(self.kernel.ensure_ruleset)
        self.inner = Netns()
        self.box = namespace.FdNamespace(os.dup(self.inner.fd))

    def on(self, function: Callable[[], T]) -> T:
        return self.thread.submit(function).result()

    def apply(self, steps: list[Step]) -> None:
        self.on(lambda: self.kernel.apply(steps, {BOX: self.box}))

    def observe(self) -> list[Desired]:
        return self.on(self.kernel.observe)

    def observe_sandbox(self) -> list[Desired]:
        return self.on(lambda: self.kernel.observe_sandbox(self.box, BOX))

    def delete(self, index: int) -> None:
        async def run() -> None:
            deleter = Deleter()
            try:
                await deleter.delete(index)
            finally:
                await deleter.close()

        self.on(lambda: asyncio.run(run()))

    def delete_inside(self, index: int) -> None:
        async def run() -> None:
            deleter = Deleter()
            try:
                await deleter.delete_inside(index, self.box, BOX)
            finally:
                await deleter.close()

        self.on(lambda: asyncio.run(run()))

    def get_up0(self) -> None:
        self.host.run("ip", "link", "add", "up0", "up", "type", "veth", "peer", "name", "up1")

    def lose_up0(self) -> None:
        self.host.run("ip", "link", "del", "up0")

    def can_leave(self, link: str) -> bool:
        return self.on(lambda: self.kernel.can_leave(link))

    def rename(self, link: str) -> None:
        self.host.run("ip", "link", "set", link, "name", "theirs")

    def restore_names(self, meant: dict[int, tuple[str, str]]) -> list[str]:
        return self.on(lambda: self.kernel.restore_names(meant))

    def end_sandbox(self) -> None:
        self.box.close()
        self.inner.close()
        # The kernel takes a namespace apart in its own time.
        eventually(lambda: not any(isinstance(o, Veth) for o in self.observe()), what="veth to go")

    def close(self) -> None:
        self.box.close()
        self.inner.close()
        self.on(self.kernel.close)
        self.thread.shutdown()
        self.host.close()


@pytest.fixture(params=[FakeWorld, RealWorld], ids=["fake", "real"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = request.param()
    yield made
    made.close()


def adds(objects: list[Desired]) -> list[Step]:
    return diff(objects, [])


def test_what_was_added_is_observed_and_agrees(world: World) -> None:
    wanted = [*NETWORK, *endpoint()]
    world.apply(adds(wanted))
    assert diff(wanted, [*world.observe(), *world.observe_sandbox()]) == []
    inside = {o.key: o for o in world.observe_sandbox()}
    assert inside["address", BOX, "eth0", "172.18.0.2/16"] == Address("eth0", 2, "172.18.0.2/16", BOX)
    assert inside["route", BOX, "default"] == Route("default", "172.18.0.1", "eth0", 2, BOX)


def test_what_can_leave_the_host(world: World) -> None:
    """The loopback interface stays where it is, as one of a radio does."""
    world.get_up0()
    before = world.observe()
    assert world.can_leave("up0")
    assert not world.can_leave("lo")
    assert world.can_leave("up7")  # nobody knows
    assert world.observe() == before


def test_a_name_that_somebody_changed_comes_back(world: World) -> None:
    """By index and MAC: the index alone may be another's."""
    wanted = [*NETWORK, *endpoint()]
    world.apply(adds(wanted))
    link = veth(2)
    meant = {BRIDGE.index: (BRIDGE.name, BRIDGE.mac), link.index: (link.name, link.mac)}
    assert world.restore_names(meant) == []
    world.rename(link.name)
    assert link.name not in {o.name for o in world.observe() if isinstance(o, Veth)}
    assert world.restore_names({link.index: (link.name, BRIDGE.mac)}) == []
    assert world.restore_names(meant) == [link.name]
    assert diff(wanted, [*world.observe(), *world.observe_sandbox()]) == []


def test_adding_again_is_success(world: World) -> None:
    wanted = [*NETWORK, *endpoint()]
    world.apply(adds(wanted))
    world.apply(adds(wanted))
    assert diff(wanted, [*world.observe(), *world.observe_sandbox()]) == []


def test_deleting_what_is_gone_is_success(world: World) -> None:
    world.apply(absent([*NETWORK, *endpoint()]))
    world.apply([Step("del", what) for what in [*NETWORK, *endpoint()]])
    world.delete(1000002)
    assert world.observe() == []


def test_a_deleted_link_is_fenced_at_once_and_gone_after_links_delete(world: World) -> None:
    world.apply(adds([*NETWORK, *endpoint()]))
    world.apply(absent(endpoint()))
    (link,) = [o for o in world.observe() if isinstance(o, Veth)]
    assert not link.up
    world.delete(link.index)
    assert diff(NETWORK, world.observe()) == []
    assert not [o for o in world.observe_sandbox() if not isinstance(o, Sysctl)]


def test_a_deleted_network_leaves_nothing(world: World) -> None:
    world.apply(adds(NETWORK))
    world.apply(absent(NETWORK))
    world.delete(1000001)
    assert world.observe() == []


def test_set_corrects_every_value(world: World) -> None:
    world.apply(adds([*NETWORK, *endpoint()]))
    changed: list[Desired] = [
        msgspec.structs.replace(BRIDGE, mac="02:42:00:00:00:99", mtu=1400, alias="netloom 2"),
        *NETWORK[1:],
        Element("published4", b"\6\0\0\0\0\x50\0\0", value=bytes([172, 18, 0, 9, 0, 90, 0, 0])),
        veth(2, mac="02:42:00:00:00:98", mtu=1400, hairpin=False),
        *endpoint()[2:],
    ]
    steps = diff(changed, [*world.observe(), *world.observe_sandbox()])
    assert {s.verb for s in steps} == {"set"}
    world.apply(steps)
    assert diff(changed, [*world.observe(), *world.observe_sandbox()]) == []


def test_the_default_route_moves_to_another_endpoint(world: World) -> None:
    world.apply(adds([*NETWORK, *endpoint(2), *endpoint(3)[1:4]]))
    moved = Route("default", "172.18.0.1", "eth1", 3, BOX)
    world.apply([Step("set", moved)])
    assert [o for o in world.observe_sandbox() if o.key == moved.key] == [moved]


def test_an_element_that_stands_with_other_data_is_replaced_even_by_add(world: World) -> None:
    world.apply(adds([*NETWORK, endpoint()[0]]))
    other = Element("published4", b"\6\0\0\0\0\x50\0\0", value=bytes([172, 18, 0, 7, 0, 80, 0, 0]))
    world.apply([Step("add", other)])
    assert other in world.observe()


def test_an_index_that_is_taken_can_be_told(world: World) -> None:
    world.apply(adds([*NETWORK, *endpoint()]))
    with pytest.raises(KernelError, match="taken by nl000000000002") as caught:
        world.apply([Step("add", veth(2, name="nl0000000000ff", peer_name="eth9", peer_index=9))])
    assert caught.value.errno == errno.EBUSY
    assert caught.value.step == "add link nl0000000000ff"


def test_a_name_that_is_taken_can_be_told(world: World) -> None:
    world.apply(adds(NETWORK))
    with pytest.raises(KernelError, match="add link br-1: file exists") as caught:
        world.apply([Step("add", msgspec.structs.replace(BRIDGE, index=1000077))])
    assert caught.value.errno == errno.EEXIST


def test_nothing_is_put_on_a_link_that_could_not_be_made(world: World) -> None:
    """The index in the way is another link's: what was meant for ours must not land there."""
    world.apply(adds(NETWORK))
    other = msgspec.structs.replace(BRIDGE, name="br-2", alias="netloom 2")
    with pytest.raises(KernelError):
        world.apply(adds([other, Address("br-2", 1000001, "172.30.0.1/16")]))
    assert diff(NETWORK, world.observe()) == []


def test_an_inner_name_that_is_taken(world: World) -> None:
    world.apply(adds([*NETWORK, *endpoint()]))
    with pytest.raises(KernelError) as caught:
        world.apply([Step("add", veth(3, peer_name="eth0"))])
    assert caught.value.errno == errno.EEXIST
    assert diff([*NETWORK, *endpoint()], [*world.observe(), *world.observe_sandbox()]) == []


def test_a_sandbox_that_has_ended(world: World) -> None:
    world.apply(adds([*NETWORK, *endpoint()]))
    world.end_sandbox()
    assert diff([*NETWORK, endpoint()[0]], [o for o in world.observe() if not isinstance(o, Neighbour)]) == []
    with pytest.raises(KernelError, match="sandbox bbbbbbbbbbbb has ended") as caught:
        world.apply([Step("add", veth(4))])
    assert caught.value.errno == errno.ESRCH
    with pytest.raises(KernelError, match="has ended"):
        world.apply([Step("add", endpoint()[4])])
    world.apply([Step("del", what) for what in endpoint()])


def test_an_unknown_link(world: World) -> None:
    with pytest.raises(KernelError, match=r"add address 172\.18\.0\.1/16: no such device") as caught:
        world.apply(adds([NETWORK[1]]))
    assert caught.value.errno == errno.ENODEV


def test_a_link_of_another_index_is_replaced(world: World) -> None:
    world.apply(adds([*NETWORK, *endpoint()]))
    wanted: list[Desired] = [*NETWORK, endpoint()[0], veth(2, index=1000055), *endpoint()[2:]]
    world.apply(diff(wanted, [*world.observe(), *world.observe_sandbox()]))
    world.delete(1000002)
    assert diff(wanted, [*world.observe(), *world.observe_sandbox()]) == []


def test_what_stands_on_a_parent(world: World) -> None:
    world.get_up0()
    world.apply(adds(child()))
    world.apply(adds(child()))  # again
    assert diff(child(), world.observe_sandbox()) == []
    assert world.observe() == []
    world.apply(absent(child()))
    world.delete_inside(1000002)
    world.delete_inside(1000002)
    assert [o for o in world.observe_sandbox() if not isinstance(o, Sysctl)] == []


def test_it_goes_with_its_parent(world: World) -> None:
    world.get_up0()
    world.apply(adds(child()))
    world.lose_up0()
    assert [o for o in world.observe_sandbox() if not isinstance(o, Sysctl)] == []
    with pytest.raises(KernelError, match="parent interface up0 is not there") as caught:
        world.apply(adds(child()))
    assert caught.value.errno == errno.ENODEV


def test_in_the_way_of_what_stands_on_a_parent(world: World) -> None:
    world.get_up0()
    world.apply(adds([*NETWORK, *endpoint()]))
    with pytest.raises(KernelError, match="eth0") as caught:
        world.apply(adds(child()))
    assert caught.value.errno == errno.EEXIST
    world.delete_inside(1000002)  # whoever asked takes back what stands of it
    assert diff([*NETWORK, *endpoint()], [*world.observe(), *world.observe_sandbox()]) == []


def test_one_mac_on_a_parent(world: World) -> None:
    world.get_up0()
    world.apply(adds(child()))
    with pytest.raises(KernelError) as caught:
        world.apply([Step("add", child(3, mac="02:42:0a:00:00:02")[0])])
    assert caught.value.errno == errno.EADDRINUSE
    world.delete_inside(1000003)
    assert diff(child(), world.observe_sandbox()) == []


def test_passthru_takes_one(world: World) -> None:
    world.get_up0()
    world.apply(adds(child(mode="passthru")))
    (there,) = (o for o in world.observe_sandbox() if isinstance(o, Child))
    assert there.mac == "02:42:0a:00:00:02"  # what was told, and not the parent's own
    with pytest.raises(KernelError) as caught:
        world.apply([Step("add", child(3, mode="passthru")[0])])
    assert caught.value.errno == errno.EINVAL


def test_deleting_inside_a_namespace_that_has_gone_is_success(world: World) -> None:
    world.get_up0()
    world.apply(adds(child()))
    world.end_sandbox()
    world.delete_inside(1000002)


def test_names_and_indices_of_the_host_are_not_in_its_way(world: World) -> None:
    """Older kernels look for both in the sender's namespace too."""
    world.get_up0()
    world.apply(adds(child(2, name="lo0")))
    world.apply(adds(child(3, name="up0")))
    assert {o.name for o in world.observe_sandbox() if isinstance(o, Child)} == {"lo0", "up0"}
