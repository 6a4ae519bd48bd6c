import msgspec
import pytest

from netloom.engine.tables import Tables, container_row, decode, endpoint_row, network_row
from netloom.model.container import Container, ContainerConfig
from netloom.model.endpoint import Endpoint, EndpointConfig, EndpointIpam
from netloom.model.errors import InvalidArgument, NotFound
from netloom.model.host_config import HostConfig, PortSpec
from netloom.model.network import IpamConfig, Network


def network(key: str, name: str) -> Network:
    return Network(id=key, name=name, created=1, driver="bridge", number=1)


def container(key: str, name: str) -> Container:
    return Container(
        id=key, name=name, created=1, image_id="sha256:0", config=ContainerConfig(), host_config=HostConfig()
    )


def test_a_network_is_found_by_id_name_then_prefix() -> None:
    tables = Tables()
    tables.put_network(network("abc1", "one"))
    tables.put_network(network("abc2", "abc1x"))
    assert tables.network("abc1").name == "one"
    assert tables.network("one").id == "abc1"
    assert tables.network("abc2").name == "abc1x"
    assert tables.network("abc1x").id == "abc2"
    with pytest.raises(InvalidArgument, match=r"network abc is ambiguous \(2 matches"):
        tables.network("abc")
    with pytest.raises(NotFound, match="network zzz not found"):
        tables.network("zzz")
    with pytest.raises(InvalidArgument, match='invalid name or ID supplied: ""'):
        tables.network("")


def test_a_renamed_container_leaves_its_name() -> None:
    tables = Tables()
    first = container("c1", "old")
    tables.put_container(first)
    tables.put_container(msgspec.structs.replace(first, name="new"))
    assert tables.container_named("old") is None
    assert tables.container("/new").id == "c1"
    with pytest.raises(NotFound, match="No such container: old"):
        tables.container("old")


def test_endpoints_keep_their_order_and_go_without_a_trace() -> None:
    tables = Tables()
    made = [
        Endpoint(
            id=f"e{n}",
            network="n",
            container=f"c{n}",
            number=n,
            host_name="",
            inner_name="",
            inner_index=0,
            mac="",
        )
        for n in range(3)
    ]
    for endpoint in made:
        tables.put_endpoint(endpoint)
    assert [e.id for e in tables.endpoints_on("n")] == ["e0", "e1", "e2"]
    for endpoint in made:
        tables.drop_endpoint(endpoint)
    tables.drop_endpoint(made[0])
    assert not tables.by_network
    assert not tables.by_container


def test_rows_come_back_as_they_were() -> None:
    n = msgspec.structs.replace(
        network("n", "net"), pools=(IpamConfig(subnet="10.0.0.0/24", aux={"a": "10.0.0.9"}),), ipam_options={"k": "v"}
    )
    c = msgspec.structs.replace(
        container("c", "box"),
        networks={"net": EndpointConfig(ipam=EndpointIpam(ipv4="10.0.0.4"), aliases=("x",), gw_priority=3)},
        host_config=HostConfig(port_bindings={"80/tcp": (PortSpec(host_port="8080"),), "81/tcp": None}),
        config=ContainerConfig(exposed_ports={"80/tcp": {}}, cmd=("a", "b"), labels={"l": "1"}),
    )
    e = Endpoint(
        id="e", network="n", container="c", number=5, host_name="nl1", inner_name="eth0", inner_index=2, mac="m"
    )
    for row, value in ((network_row(n), n), (container_row(c), c), (endpoint_row(e), e)):
        assert row[2] is not None
        assert decode({row[1]: row[2]}, type(value)) == [value]
