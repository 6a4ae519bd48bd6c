"""What an engine keeps in several places at once must agree: the question, for a `World`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from netloom.engine.tables import decode
from netloom.ipam.addresses import Reserved
from netloom.model.container import Container
from netloom.model.desired import Desired, Sysctl
from netloom.model.endpoint import Endpoint
from netloom.model.network import Network
from netloom.model.policy import Policy

if TYPE_CHECKING:
    from netloom.testing.engine_world import World


def state(world: World) -> dict[str, Any]:
    """Everything that an operation which failed must leave as it was, in comparable values."""
    core, tables = world.core, world.core.tables
    running = {c.id for c in tables.containers.values() if c.state.running}  # others' files are written anew at start
    return {
        "networks": dict(sorted(tables.networks.items())),
        "containers": dict(sorted(tables.containers.items())),
        "endpoints": {e.id: e for e in _endpoints(world)},
        "policies": dict(sorted(core.policies.stored.items())),
        "kernel": sorted(repr(o) for o in world.kernel.objects if not _host_setting(o)),
        "addresses": addresses(world),
        "names": dict(sorted(world.dataplane.entries.items())),
        "resolvers": {k: r for k, r in sorted(world.dataplane.resolvers.items()) if r.networks},
        "held": {key: port.owner for key, port in sorted(world.dataplane.held.items())},
        "relays": dict(sorted(world.dataplane.relays.items())),
        "files": {c: dict(sorted(t.items())) for c, t in sorted(world.files.texts.items()) if c in running},
        "processes": sorted(world.runtime.inits),
        "sandboxes": sorted(core.sandboxes),
        "volumes": sorted(world.volumes.volumes),
    }


def addresses(world: World) -> dict[str, dict[str, str]]:
    """Held addresses by network: address → container, without those that belong to nobody."""
    space = world.core.space
    return {
        key: {
            subnet.text(number): holder
            for subnet in member.subnets
            for number, holder in subnet.holders()
            if not isinstance(holder, Reserved)
        }
        for key, member in sorted(space._members.items())
        if member.subnets
    }


def check(world: World) -> None:
    """Tables, rows, kernel, addresses, data plane and processes agree, and nothing is under way.

    The world has settled before.
    """
    core = world.core
    tables = core.tables
    assert not core.moving, "endpoints are still on the move"
    assert not core.lanes._locks, "a lane is still held"
    load = world.store.load
    _equal("policies' rows", {p.name: p for p in decode(load("policies"), Policy)}, world.core.policies.stored)
    _equal("networks' rows", {n.id: n for n in decode(load("networks"), Network)}, tables.networks)
    _equal("containers' rows", {c.id: c for c in decode(load("containers"), Container)}, tables.containers)
    endpoints = {e.id: e for e in _endpoints(world)}
    _equal("endpoints' rows", {e.id: e for e in decode(load("endpoints"), Endpoint)}, endpoints)
    assert {n.name for n in tables.networks.values()} == set(tables._network_names)
    assert {c.name: c.id for c in tables.containers.values()} == tables._container_names
    for network, on in tables.by_network.items():
        assert all(tables.by_container[c][network] is e for c, e in on.items())
    _check_volumes(world)
    _check_kernel(world)
    _equal("addresses", addresses(world), _addresses_wanted(world))
    _check_data_plane(world)
    running = {c.id: c for c in tables.containers.values() if c.state.running}
    _equal("sandboxes", set(core.sandboxes), {c.sandbox for c in running.values()})
    assert len(world.runtime.open_namespaces) == len(core.sandboxes) + len(core.held), (
        "a namespace is held that nobody knows"
    )
    _equal(
        "processes", {k: p.pid for k, p in world.runtime.inits.items()}, {k: c.state.pid for k, c in running.items()}
    )
    for container in tables.containers.values():
        wanted = set(container.networks) if container.state.running else set()
        attached = {tables.networks[e.network].name for e in tables.endpoints_of(container.id)}
        _equal(f"networks of {container.name}", attached, wanted)


def _check_volumes(world: World) -> None:
    """Every volume is known, what a container names is there, and one without a name belongs to somebody."""
    known = {volume.name: volume for volume in world.engine.volumes.all()}
    _equal("volumes", world.volumes.volumes, known)
    named = {p.name for c in world.core.tables.containers.values() for p in c.mounts if p.type == "volume"}
    assert named <= set(known), f"volumes {sorted(named - set(known))} are missing"


def _check_kernel(world: World) -> None:
    wanted = {o.key: o for o in world.engine.reconciler.desired()}
    found = {o.key: o for o in world.kernel.objects if not _host_setting(o) or o.key in wanted}
    _equal("kernel", found, wanted)


def _check_data_plane(world: World) -> None:
    tables = world.core.tables
    names = world.engine._attaching.names
    entries = {e.id: entry for e in _endpoints(world) if (entry := names.entry(e))}
    _equal("names", world.dataplane.entries, entries)
    running = [c for c in tables.containers.values() if c.state.running]
    resolved = {k for k, r in world.dataplane.resolvers.items() if r.networks}
    _equal(
        "resolvers",
        resolved,
        {tables.containers[e.container].sandbox for e in _endpoints(world) if e.id in entries},
    )
    ports = {
        (b.proto, b.host_ip, b.host_port): c.id
        for c in running
        for e in tables.endpoints_of(c.id)
        for wide in e.ports
        for b in wide.each()
        if b.host_port
    }
    _equal("held ports", {k: p.owner for k, p in world.dataplane.held.items()}, ports)
    _equal(
        "relays",
        {k: r.owner for k, r in world.dataplane.relays.items()},
        {k: o for k, o in ports.items() if ":" in k[1]},
    )
    for key, relay in world.dataplane.relays.items():
        holder = next(e for e in tables.endpoints_of(relay.owner) if e.ports)
        assert relay.target in (holder.ipv4.partition("/")[0], holder.ipv6.partition("/")[0]), f"{key} leads astray"
    published = world.engine._attaching.publishing
    _equal(
        "bindings",
        {c: b for c, b in published._bound.items() if b},
        {c.id: e.ports for c in running for e in tables.endpoints_of(c.id) if e.ports},
    )
    _equal("taken ports", published._taken.all(), {(proto, port, ip) for proto, ip, port in ports})


def _addresses_wanted(world: World) -> dict[str, dict[str, str]]:
    """Of endpoints, and those chosen for containers that do not run, as far as they were free."""
    tables = world.core.tables
    wanted: dict[str, dict[str, str]] = {n.id: {} for n in tables.networks.values() if n.pools}
    for endpoint in _endpoints(world):
        for address in (endpoint.ipv4, endpoint.ipv6):
            if address and endpoint.lease is None:
                wanted[endpoint.network][address.partition("/")[0]] = endpoint.container
    held = addresses(world)
    for container in tables.containers.values():
        for name, config in container.networks.items():
            network = tables.network_named(name)
            if container.state.running or network is None or network.id not in wanted:
                continue
            for address in (config.ipam.ipv4, config.ipam.ipv6) if config.ipam else ():
                if address and held[network.id].get(address) == container.id:
                    wanted[network.id].setdefault(address, container.id)
    return wanted


def _endpoints(world: World) -> list[Endpoint]:
    return [e for of in world.core.tables.by_container.values() for e in of.values()]


def _host_setting(what: Desired) -> bool:
    """A setting of the host itself stays when what was switched on is switched off: it has its former value."""
    return isinstance(what, Sysctl) and not what.sandbox


def _equal(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise AssertionError(f"{what} differ:\n" + "\n".join(differences(found, wanted)))


def differences(found: Any, wanted: Any) -> list[str]:
    """Where two values differ, as paths."""
    if isinstance(found, Struct) and type(found) is type(wanted):
        found, wanted = asdict(found), asdict(wanted)
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return [f" {found!r} instead of {wanted!r}"]
    return [
        f".{_short(key)}{told}"
        for key in {**found, **wanted}
        if found.get(key) != wanted.get(key)
        for told in differences(found.get(key), wanted.get(key))
    ]


def _short(key: Any) -> str:
    return key[:8] if isinstance(key, str) and len(key) == 64 else str(key)
