from __future__ import annotations

import pytest

from netloom.engine.linking import check_linked, check_reachable, linked
from netloom.engine.tables import Tables
from netloom.model.container import Container, ContainerConfig, State
from netloom.model.endpoint import EndpointConfig
from netloom.model.errors import Failed, InvalidArgument
from netloom.model.host_config import HostConfig


def tables(*containers: Container) -> Tables:
    made = Tables()
    for container in containers:
        made.put_container(container)
    return made


def container(name: str, *links: str, mode: str = "bridge", status: str = "running") -> Container:
    return Container(
        id=(name * 64)[:64],
        name=name,
        created=0,
        image_id="",
        config=ContainerConfig(),
        host_config=HostConfig(network_mode=mode, links=links),
        networks={mode: EndpointConfig()},
        state=State(status=status),
    )


def test_links_to_what_is_not_there_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"^could not get container for a: No such container: a$"):
        check_linked(tables(), ("a:x",))
    check_linked(tables(container("a")), ("a:x", "a"))


def test_links_to_the_hosts_network_are_refused_through_a_shared_sandbox_too() -> None:
    target = container("b", mode="host")
    with pytest.raises(InvalidArgument, match="host type networking can't be used with links"):
        check_linked(tables(target, container("a", mode=f"container:{target.id}")), ("a:x",))


def test_the_other_container_must_run_on_the_default_bridge() -> None:
    web = container("w", "a:x")
    check_reachable(tables(container("a")), web)
    with pytest.raises(Failed, match=r"^Cannot link to a non running container: /a AS /w/x$"):
        check_reachable(tables(container("a", status="exited")), web)
    with pytest.raises(Failed, match=r"^container a{64} not attached to default bridge network$"):
        check_reachable(tables(container("a", mode="n")), web)


def test_a_link_ends_with_its_container_and_off_the_default_bridge_there_is_none() -> None:
    assert list(linked(tables(), container("w", "a:x"))) == []
    assert list(linked(tables(container("a")), container("w", "a:x", mode="n"))) == []
