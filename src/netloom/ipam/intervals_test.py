from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from netloom.ipam.intervals import Intervals

RANGE = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(changes=st.lists(st.tuples(st.booleans(), RANGE), max_size=20), probe=RANGE)
def test_equals_a_set_of_numbers(changes: list[tuple[bool, tuple[int, int]]], probe: tuple[int, int]) -> None:
    ranges, model = Intervals(), set[int]()
    for added, (first, last) in changes:
        if added:
            ranges.add(first, last)
            model.update(range(first, last + 1))
        else:
            ranges.remove(first, last)
            model.difference_update(range(first, last + 1))
    listed = ranges.ranges()
    assert {number for first, last in listed for number in range(first, last + 1)} == model
    assert all(first <= last for first, last in listed)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(listed))
    shared = [entry for entry in listed if entry[0] <= probe[1] and probe[0] <= entry[1]]
    assert ranges.meeting(*probe) == (shared[0] if shared else None)


def test_neighbours_become_one_however_large() -> None:
    ranges = Intervals()
    for n in range(1000):
        ranges.add(n << 64, ((n + 1) << 64) - 1)
    assert ranges.ranges() == [(0, (1000 << 64) - 1)]
