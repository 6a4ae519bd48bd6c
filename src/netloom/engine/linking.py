"""`--link` on the default bridge: what Docker asks of the other container, at create and at start."""

from __future__ import annotations

from collections.abc import Iterator

from netloom.containers.link_environment import link_environment
from netloom.containers.validate import split_link
from netloom.engine.tables import Tables
from netloom.model.container import Container
from netloom.model.errors import Failed, InvalidArgument, NotFound
from netloom.model.port_keys import exposed_each


def check_linked(tables: Tables, links: tuple[str, ...]) -> None:
    """Refuse, at create, links to what is not there or has no network of its own. Raises InvalidArgument."""
    for link in links:
        name, _ = split_link(link)
        try:
            target = tables.container(name)
            while target.host_config.network_mode.startswith("container:"):
                target = tables.container(target.host_config.network_mode.removeprefix("container:"))
        except NotFound as error:
            raise InvalidArgument(f"could not get container for {name}: {error.sentence}") from error
        if target.host_config.network_mode == "host":
            raise InvalidArgument(
                "conflicting options: host type networking can't be used with links."
                " This would result in undefined behavior"
            )


def check_reachable(tables: Tables, container: Container) -> None:
    """At its start the others must run, on the default bridge as well. Raises Failed."""
    for target, alias in linked(tables, container):
        if not target.state.running:
            raise Failed(f"Cannot link to a non running container: /{target.name} AS /{container.name}/{alias}")
        if "bridge" not in target.networks:
            raise Failed(f"container {target.id} not attached to default bridge network")


def linked(tables: Tables, container: Container) -> Iterator[tuple[Container, str]]:
    """The other containers and their aliases; a link ends with the container that it named."""
    if "bridge" not in container.networks:
        return
    for link in container.host_config.links or ():
        name, alias = split_link(link)
        try:
            yield tables.container(name), alias
        except NotFound:
            continue


def linked_environment(tables: Tables, container: Container) -> list[str]:
    """What the container's programs find in their environment of those that it is linked to."""
    bridge = tables.network_named("bridge")
    entries: list[str] = []
    for target, alias in linked(tables, container):
        endpoint = tables.endpoint(bridge.id, target.id) if bridge else None
        if endpoint is not None:
            address, exposed = endpoint.ipv4.partition("/")[0], exposed_each(target.config.exposed_ports or {})
            entries += link_environment(container.name, alias, address, exposed, target.config.env or ())
    return entries
