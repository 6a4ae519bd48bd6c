from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.model.spans import Spans

span = st.tuples(st.integers(0, 30), st.integers(1, 8))


def numbers(spans: list[tuple[int, int]]) -> set[int]:
    return {number for first, width in spans for number in range(first, first + width)}


@given(st.lists(st.tuples(st.booleans(), span)))
def test_like_a_plain_table(changes: list[tuple[bool, tuple[int, int]]]) -> None:
    spans: Spans[int] = Spans()
    plain: dict[tuple[int, int], int] = {}
    for place, (put, (first, width)) in enumerate(changes):
        if not put:
            gone = next((one for one in plain if one[0] == first), None)
            assert spans.pop(first) == (plain.pop(gone) if gone else None)
        elif numbers([(first, width)]) & numbers(list(plain)):
            with pytest.raises(ValueError, match="is there already"):
                spans.put(first, width, place)
        else:
            spans.put(first, width, place)
            plain[first, width] = place
        assert len(spans) == len(plain)
        for number in range(40):
            found = [value for one, value in plain.items() if number in numbers([one])]
            assert spans.at(number) == (found[0] if found else None)
        across = sorted(one for one in plain if numbers([one]) & numbers([(5, 9)]))
        assert [(first, width) for first, width, _ in spans.over(5, 9)] == across
        rest = spans.missing(5, 9)
        assert numbers(rest) == numbers([(5, 9)]) - numbers(list(plain))
        assert sum(width for _, width in rest) == len(numbers(rest))
