"""Ports by place, owner and sandbox."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netloom.dataplane.register import Register, key
from netloom.model.names import HeldPort

ports = st.builds(
    HeldPort,
    st.sampled_from(["a", "b"]),
    st.sampled_from(["tcp", "udp"]),
    st.just("::"),
    st.integers(1, 4),
    sandbox=st.sampled_from(["", "s", "t"]),
)


@given(st.lists(st.tuples(st.booleans(), ports)))
def test_like_a_plain_table(changes: list[tuple[bool, HeldPort]]) -> None:
    register: Register[HeldPort, int] = Register()
    plain: dict[tuple[str, str, int], tuple[HeldPort, int]] = {}
    for number, (put, port) in enumerate(changes):
        if put:
            register.put(port, number)
            plain[key(port)] = (port, number)
        else:
            assert register.pop(key(port)) == plain.pop(key(port), None)
        assert sorted(register, key=str) == sorted(plain.values(), key=str)
        for owner in "ab":
            mine = {where for where, (row, _) in plain.items() if row.owner == owner}
            assert set(register.of(owner=owner)) == mine
            assert register.count(owner) == len(mine)
        for sandbox in "st":
            assert set(register.of(sandbox=sandbox)) == {w for w, (row, _) in plain.items() if row.sandbox == sandbox}
    assert register.of() == []
