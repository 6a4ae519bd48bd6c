from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netloom.firewall.taken import Taken
from netloom.model.endpoint import PortBinding

bindings = st.builds(
    lambda proto, ip, port, width: PortBinding(proto, port, ip, port, width),
    st.sampled_from(["tcp", "udp"]),
    st.sampled_from(["0.0.0.0", "::", "127.0.0.1"]),
    st.integers(0, 20),
    st.sampled_from([1, 1, 2, 7]),
)


def each(binding: PortBinding) -> set[tuple[str, int, str]]:
    return {(one.proto, one.host_port, one.host_ip) for one in binding.each() if one.host_port}


@given(st.lists(bindings), st.integers(1, 20), st.integers(1, 9))
def test_wide_ones_are_as_if_each_was_by_itself(changes: list[PortBinding], first: int, width: int) -> None:
    taken = Taken()
    standing: list[PortBinding] = []
    for binding in changes:
        if binding in standing:
            taken.put(binding)  # again
            standing.remove(binding)
            taken.drop(binding)
        elif not any(each(binding) & each(other) for other in standing):
            standing.append(binding)
            taken.put(binding)
        plain = {one for other in standing for one in each(other)}
        assert taken.all() == plain
        for proto in ("tcp", "udp"):
            among = taken.among(proto, first, width)
            assert among == sorted(among)
            inside = {(port, ip) for p, port, ip in plain if p == proto and first <= port < first + width}
            assert set(among) <= inside
            assert {ip for _, ip in among} == {ip for _, ip in inside}
            assert among[:1] == sorted(inside)[:1]
