from ipaddress import IPv4Network, ip_network

from hypothesis import given
from hypothesis import strategies as st

from netloom.ipam.occupied import Occupied

BASE = int(ip_network("10.0.0.0/26").network_address)
BLOCK = st.integers(26, 32).flatmap(
    lambda size: st.integers(0, (1 << (size - 26)) - 1).map(lambda n: IPv4Network((BASE + (n << (32 - size)), size)))
)


@given(st.lists(st.tuples(st.booleans(), BLOCK), max_size=30))
def test_equals_a_plain_search(changes: list[tuple[bool, IPv4Network]]) -> None:
    occupied = Occupied()
    model: dict[IPv4Network, str] = {}
    for add, block in changes:
        met = [entry for entry in model if entry.overlaps(block)]
        found = occupied.meeting(block)
        assert (found is None) == (not met)
        if found is not None:
            assert found[2] in {model[entry] for entry in met}
        assert [entry[2] for entry in occupied.all_meeting(block)] == [model[entry] for entry in sorted(met)]
        if add and not met:
            model[block] = str(block)
            occupied.add(block, str(block))
        elif not add:
            model.pop(block, None)
            occupied.remove(block, str(block))
        covered = sum(last - first + 1 for first, last in occupied.ranges.ranges())
        assert covered == sum(entry.num_addresses for entry in model)
