"""Ports by place, owner and sandbox."""

from __future__ import annotations

from collections.abc import Iterable

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


wide = st.builds(
    lambda ip, port, target, width: HeldPort("a", "tcp", ip, port, "t", target, width=width),
    st.sampled_from(["::", "::1"]),
    st.integers(1, 12),
    st.sampled_from([100, 200]),
    st.integers(1, 9),
)


def each(rows: Iterable[HeldPort]) -> dict[tuple[str, int], int]:
    """Where every port by itself leads."""
    return {(row.ip, row.port + n): row.target_port + n for row in rows for n in range(row.width)}


@given(st.lists(st.tuples(st.sampled_from(["put", "take", "cut"]), wide)))
def test_ports_side_by_side_are_as_if_each_was_by_itself(changes: list[tuple[str, HeldPort]]) -> None:
    register: Register[HeldPort, None] = Register()
    plain: dict[tuple[str, int], int] = {}
    for word, port in changes:
        theirs = each([port])
        if word == "put":
            register.put(port, None)
            plain |= theirs
        elif word == "take":
            assert each(register.take(port)) == {at: plain[at] for at in theirs if at in plain}
            plain = {at: to for at, to in plain.items() if at not in theirs}
        else:
            only = {("tcp", ip, number) for ip, number in theirs}
            gone = [one for where in register.of(owner="a") for one in register.cut(where, only)]
            assert each(gone) == {at: plain[at] for at in theirs if at in plain}
            plain = {at: to for at, to in plain.items() if at not in theirs}
        assert each(row for row, _ in register) == plain
        assert register.count("a") == len(plain)
        assert each(register.missing(port)).keys() == theirs.keys() - plain.keys()
        assert {row for row, _ in register.over("tcp", port.ip, port.port, port.width)} == {
            row for row, _ in register if row.ip == port.ip and each([row]).keys() & theirs.keys()
        }
