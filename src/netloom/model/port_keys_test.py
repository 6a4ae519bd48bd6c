from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from netloom.model.container import Container, ContainerConfig
from netloom.model.host_config import HostConfig, PortSpec
from netloom.model.port_keys import MANY, Specs, bindings_each, exposed_each, gathered, run

Bindings = dict[str, Specs]


def container(bindings: Bindings, exposed: tuple[str, ...] = ()) -> Container:
    return Container(
        id="c",
        name="web",
        created=0,
        image_id="",
        config=ContainerConfig(exposed_ports={key: {} for key in (*bindings, *exposed)}),
        host_config=HostConfig(port_bindings=bindings),
    )


def ports(first: int, width: int, host: int, proto: str = "tcp", ip: str = "") -> Bindings:
    return {f"{first + n}/{proto}": (PortSpec(ip, str(host + n)),) for n in range(width)}


def keys(one: Container) -> set[str]:
    return set(one.host_config.port_bindings or ())


def test_ports_side_by_side_are_one_key() -> None:
    bindings = {**ports(8000, 100, 9000), **ports(8000, 50, 9000, "udp"), **ports(20, 3, 20)}
    found = gathered(container(bindings))
    assert keys(found) == {"8000+100/tcp", "8000+50/udp", "20/tcp", "21/tcp", "22/tcp"}
    assert set(found.config.exposed_ports or ()) == keys(found)
    assert bindings_each(found.host_config.port_bindings or {}) == bindings
    assert len(msgspec.json.encode(found)) < len(msgspec.json.encode(container({}))) + 600


def test_what_does_not_rise_together_stays_apart() -> None:
    other = {**ports(8000, 50, 9000), **ports(8050, 50, 9100), **ports(8100, 50, 9150, ip="127.0.0.1")}
    assert keys(gathered(container(other))) == {"8000+50/tcp", "8050+50/tcp", "8100+50/tcp"}
    ranges: Bindings = {f"{n}/tcp": (PortSpec("", "9000-9100"),) for n in range(8000, 8100)}
    assert keys(gathered(container(ranges))) == set(ranges)
    any_port: Bindings = {f"{n}/tcp": (PortSpec(),) for n in range(8000, 8100)}
    assert keys(gathered(container(any_port))) == {"8000+100/tcp"}
    few = ports(8000, MANY - 1, 8000)
    assert keys(gathered(container(few))) == set(few)


def test_ports_that_are_written_otherwise_stay_as_they_are() -> None:
    for odd in ("8000", "08001/tcp", "8002/TCP"):
        bindings = {odd: (PortSpec("", "1"),), **ports(8010, 40, 8010)}
        assert keys(gathered(container(bindings))) == set(bindings)


def test_runs() -> None:
    assert run("8000+1000/tcp") == (8000, 1000, "tcp")
    assert [run(key) for key in ("8000/tcp", "8000-8999/tcp", "8000", "", "8000+1/TCP")] == [None] * 5


_specs = st.none() | st.lists(
    st.builds(PortSpec, st.sampled_from(["", "::1"]), st.sampled_from(["", "0", "1", "2", "41", "1-9"])), max_size=2
).map(tuple)


@given(
    st.dictionaries(st.integers(0, 200).map(lambda n: f"{n}/tcp"), _specs, max_size=20),
    st.lists(st.tuples(st.integers(0, 90), st.integers(1, 90), st.integers(1, 400)), max_size=3),
)
def test_nothing_is_lost(singles: Bindings, wide: list[tuple[int, int, int]]) -> None:
    bindings = dict(singles)
    for one in wide:
        bindings |= ports(*one)
    found = gathered(container(bindings, ("1/udp",)))
    assert bindings_each(found.host_config.port_bindings or {}) == bindings
    assert exposed_each(found.config.exposed_ports or {}).keys() == {*bindings, "1/udp"}
    assert gathered(found) == found
