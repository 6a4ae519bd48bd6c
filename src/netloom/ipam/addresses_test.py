import random
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from netloom.ipam.addresses import Addresses, Reservation
from netloom.ipam.pools import Subnet
from netloom.model.errors import Exhausted, Forbidden, InvalidArgument
from netloom.testing.counting import lines_run


def number(text: str) -> int:
    return int(ip_address(text))


def take(addresses: Addresses, count: int) -> list[str]:
    return [addresses.request("c").address.partition("/")[0] for _ in range(count)]


def drain(addresses: Addresses) -> list[str]:
    got = []
    while True:
        try:
            got += take(addresses, 1)
        except Exhausted:
            return got


@pytest.mark.parametrize(
    ("subnet", "ip_range", "expected"),
    [
        ("10.0.0.0/30", None, ["10.0.0.1", "10.0.0.2"]),
        ("10.0.0.0/31", None, ["10.0.0.0", "10.0.0.1"]),
        ("10.0.0.9/32", None, ["10.0.0.9"]),
        ("10.0.0.0/24", "10.0.0.0/30", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        ("10.0.0.0/24", "10.0.0.128/31", ["10.0.0.128", "10.0.0.129"]),
        ("10.0.0.0/24", "10.0.0.252/30", ["10.0.0.252", "10.0.0.253", "10.0.0.254"]),
        ("fd00::/126", None, ["fd00::1", "fd00::2", "fd00::3"]),
        ("fd00::/127", None, ["fd00::1"]),
        ("fd00::/128", None, []),
    ],
)
def test_every_usable_address_once_ascending(subnet: str, ip_range: str | None, expected: list[str]) -> None:
    addresses = Addresses(ip_network(subnet), ip_network(ip_range) if ip_range else None)
    assert drain(addresses) == expected


def test_longest_freed_comes_first_and_only_after_the_unused() -> None:
    addresses = Addresses(ip_network("10.0.0.0/29"))
    assert take(addresses, 4) == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]
    for freed in ("10.0.0.3", "10.0.0.1", "10.0.0.4"):
        addresses.release(number(freed))
    assert drain(addresses) == ["10.0.0.5", "10.0.0.6", "10.0.0.3", "10.0.0.1", "10.0.0.4"]


def test_a_static_address_that_was_freed_counts_as_used() -> None:
    addresses = Addresses(ip_network("10.0.0.0/29"))
    addresses.reserve(number("10.0.0.3"), "a")
    addresses.release(number("10.0.0.3"))
    assert drain(addresses) == ["10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.3"]


def test_static_outside_the_range_is_granted_and_never_chosen() -> None:
    addresses = Addresses(ip_network("10.0.0.0/24"), ip_network("10.0.0.128/31"))
    assert addresses.reserve(number("10.0.0.7"), "a").confirm() == "10.0.0.7/24"
    addresses.release(number("10.0.0.7"))
    assert drain(addresses) == ["10.0.0.128", "10.0.0.129"]


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("10.0.0.0", "10.0.0.0 is the network's own address, "),
        ("10.0.0.255", "10.0.0.255 is the broadcast address, "),
        ("10.0.0.5", "10.0.0.5 is held by container web, "),
    ],
)
def test_held_address_is_refused_naming_its_holder(address: str, remedy: str) -> None:
    addresses = Addresses(ip_network("10.0.0.0/24"))
    addresses.reserve(number("10.0.0.5"), "web")
    with pytest.raises(Forbidden) as caught:
        addresses.reserve(number(address), "db", lambda owner: f"container {owner}")
    assert caught.value.sentence == "Address already in use"
    assert caught.value.remedy.startswith(remedy)


def test_an_owner_is_granted_again_what_it_holds_and_cancelling_keeps_it() -> None:
    addresses = Addresses(ip_network("10.0.0.0/24"))
    addresses.reserve(number("10.0.0.5"), "web").confirm()
    again = addresses.reserve(number("10.0.0.5"), "web")
    again.cancel()
    assert addresses.holder(number("10.0.0.5")) == "web"


def test_foreign_address_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"10\.0\.1\.0: it does not belong to subnet 10\.0\.0\.0/24"):
        Addresses(ip_network("10.0.0.0/24")).reserve(number("10.0.1.0"), "a")


def test_cancelling_is_as_if_it_had_not_been_asked_for() -> None:
    addresses = Addresses(ip_network("10.0.0.0/29"))
    first = addresses.request("a")
    first.cancel()
    first.cancel()
    assert take(addresses, 1) == ["10.0.0.1"]
    addresses.reserve(number("10.0.0.2"), "a").cancel()
    assert take(addresses, 5) == ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
    for freed in ("10.0.0.4", "10.0.0.2"):
        addresses.release(number(freed))
    addresses.request("a").cancel()
    assert drain(addresses) == ["10.0.0.4", "10.0.0.2"]


def test_confirmed_ones_are_not_cancelled() -> None:
    addresses = Addresses(ip_network("10.0.0.0/29"))
    reservation = addresses.request("a")
    assert reservation.confirm() == "10.0.0.1/29"
    reservation.cancel()
    assert addresses.holder(number("10.0.0.1")) == "a"


def test_as_a_context_it_confirms_only_on_success() -> None:
    addresses = Addresses(ip_network("10.0.0.0/29"))
    with pytest.raises(RuntimeError), addresses.request("a"):
        raise RuntimeError
    with addresses.request("b") as held:
        assert held.address == "10.0.0.1/29"
    assert addresses.holder(number("10.0.0.1")) == "b"


@pytest.mark.parametrize("subnet", ["10.0.0.0/24", "10.0.0.0/8", "fd00::/64"])
def test_churn_costs_no_memory_whatever_the_size(subnet: str) -> None:
    addresses = Addresses(ip_network(subnet), remembered=100)
    for _ in range(5000):
        held = addresses.request("c")
        addresses.release(number(held.confirm().partition("/")[0]))
    assert addresses._slots.freed <= 300
    assert addresses.in_use <= 2
    assert len(addresses._slots._places) <= 7


def test_every_address_of_a_16() -> None:
    addresses = Addresses(ip_network("10.0.0.0/16"))
    got = drain(addresses)
    assert len(got) == len(set(got)) == 65534
    for address in range(number("10.0.0.1"), number("10.0.255.254"), 2):
        addresses.release(address)
    assert drain(addresses)[:2] == ["10.0.0.1", "10.0.0.3"]


@given(seed=st.integers(0, 1 << 32), share=st.floats(0.6, 0.95))
@settings(max_examples=3)
def test_a_16_taken_and_returned_at_random_is_a_plain_set(seed: int, share: float) -> None:
    """65,000 addresses; which one comes next is what a set and a queue that are searched from end to end say."""
    dice = random.Random(seed)
    addresses = Addresses(ip_network("10.0.0.0/16"), remembered=1 << 20)
    held: set[int] = set()
    free = OrderedDict.fromkeys(range(number("10.0.0.1"), number("10.0.255.255")))  # as they will come
    taken = 0
    while taken < 65_000:
        if free and (not held or dice.random() < share):
            if dice.random() < 0.1:
                address = number("10.0.0.1") + dice.randrange(65534)
                if address in held:
                    with pytest.raises(Forbidden):
                        addresses.reserve(address, "other")
                    continue
                addresses.reserve(address, "c").confirm()
            else:
                address = next(iter(free))
                assert addresses.request("c").confirm() == f"{IPv4Address(address)}/16"
            del free[address]
            held.add(address)
            taken += 1
        else:
            address = held.pop()
            addresses.release(address)
            free[address] = None
    assert addresses.in_use == len(held) + 2
    assert addresses.available == len(free)
    assert all(addresses.holder(address) == "c" for address in held)
    assert not any(addresses.holder(address) for address in free)


def some_lives(subnet: str) -> Callable[[], None]:
    """150 addresses, a third of them chosen and a third of them returned and taken again; made ready to run."""
    addresses = Addresses(ip_network(subnet), remembered=10)
    base = int(ip_network(subnet).network_address)

    def work() -> None:
        for n in range(200, 250):
            addresses.reserve(base + n, "static").confirm()
        taken = [addresses.request("c") for _ in range(100)]
        for reservation in taken[::2]:
            addresses.release(number(reservation.confirm().partition("/")[0]))
        for _ in range(50):
            addresses.request("c")

    return work


def test_a_large_subnet_costs_no_more_work_than_a_small_one() -> None:
    small = lines_run(some_lives("10.0.0.0/24"))
    assert small > 1000
    for large in ("10.0.0.0/8", "fd00::/64"):
        assert lines_run(some_lives(large)) <= small * 1.01  # a page more or less


@pytest.mark.parametrize("subnet", ["10.0.0.0/16", "10.0.0.0/8", "fd00::/64"])
def test_an_address_costs_a_few_bytes(subnet: str) -> None:
    owner = "c" * 64
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        addresses = Addresses(ip_network(subnet))
        empty, _ = tracemalloc.get_traced_memory()
        reservation = [addresses.request(owner) for _ in range(20_000)][-1]
        del reservation
        full, _ = tracemalloc.get_traced_memory()
        base = int(addresses.subnet.network_address)
        for address in range(base + 1, base + 20_001):
            addresses.release(address)
        freed, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert empty - before < 8000
    assert (full - empty) / 20_000 < 32
    assert freed - full < 20_000


class AgainstASet(RuleBasedStateMachine):
    """A /28 with a range against lists that are searched from end to end."""

    subnet: Subnet = ip_network("10.0.0.0/28")
    base = int(subnet.network_address)
    usable = range(base + 4, base + 12)

    def __init__(self) -> None:
        super().__init__()
        self.addresses = Addresses(self.subnet, ip_network("10.0.0.4/30"))
        self.usable = range(self.base + 4, self.base + 8)
        self.held: dict[int, str] = {}
        self.freed: list[int] = []
        self.used: set[int] = set()

    def next(self) -> int | None:
        unused = [a for a in self.usable if a not in self.used and a not in self.held]
        return unused[0] if unused else self.freed[0] if self.freed else None

    def hold(self, reservation: Reservation, address: int, keep: bool) -> None:
        assert reservation.address == f"{ip_address(address)}/28"
        if not keep:
            reservation.cancel()
            return
        reservation.confirm()
        self.held[address] = "c"
        self.used.add(address)
        if address in self.freed:
            self.freed.remove(address)

    @rule(keep=st.booleans())
    def request(self, keep: bool) -> None:
        expected = self.next()
        if expected is None:
            with pytest.raises(Exhausted):
                self.addresses.request("c")
        else:
            self.hold(self.addresses.request("c"), expected, keep)

    @rule(offset=st.integers(0, 15))
    def reserve(self, offset: int) -> None:
        address = self.base + offset
        if offset in (0, 15) or address in self.held:
            with pytest.raises(Forbidden):
                self.addresses.reserve(address, "other")
        else:
            self.hold(self.addresses.reserve(address, "c"), address, keep=True)

    @rule(offset=st.integers(1, 14))
    def release(self, offset: int) -> None:
        address = self.base + offset
        self.addresses.release(address)
        if self.held.pop(address, None) and address in self.usable:
            self.freed.append(address)

    @invariant()
    def holders(self) -> None:
        assert self.addresses.in_use == len(self.held) + 2
        assert self.addresses.available == len(self.usable) - len(self.held.keys() & self.usable)
        for offset in range(1, 15):
            assert self.addresses.holder(self.base + offset) == self.held.get(self.base + offset)


TestAgainstASet = AgainstASet.TestCase


@given(st.integers(1, 30))
def test_two_holders_of_one_address_cannot_be(count: int) -> None:
    addresses = Addresses(ip_network("10.0.0.0/27"))
    got = [addresses.request(str(n)).confirm() for n in range(min(count, 30))]
    assert len(set(got)) == len(got)
