"""Networks: create, delete, prune."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from netloom.dhcp.settings import DRIVER, check_request
from netloom.dns import records
from netloom.drivers import lan
from netloom.drivers.bridge_options import DEFAULT, closes
from netloom.drivers.bridge_options import NAME as BRIDGE_NAME
from netloom.drivers.device import bound, lends
from netloom.drivers.options import PARENT, enabled
from netloom.drivers.parents import HOST, HOST_ACCESS, KINDS, host_access, lacking, on_lan, parent_of
from netloom.engine.bridge_hooks import need_bridge_hooks
from netloom.engine.core import Core
from netloom.engine.forwarding import Forwarding
from netloom.engine.other_firewalls import OtherFirewalls
from netloom.engine.ports import Kernel
from netloom.engine.tables import gone, network_row
from netloom.ipam.addresses import Reserved
from netloom.ipam.space import settled
from netloom.ipam.validate import check_config
from netloom.model.desired import Bridge, HostRoute, LinkKind, Parent, Shim
from netloom.model.errors import Conflict, Forbidden, InvalidArgument, NetloomError, NotFound
from netloom.model.network import DEFAULT_GATEWAY, PREDEFINED, IpamConfig, Network, NetworkRequest, Status
from netloom.model.truth import truth_of
from netloom.plan.diff import diff
from netloom.policy.checks import refuse_named, refuse_unjudged


class Networks:
    """The life of a network, journalled: pending, ready, deleting."""

    def __init__(self, core: Core, forwarding: Forwarding, firewalls: OtherFirewalls) -> None:
        self._core = core
        self._forwarding = forwarding
        self._firewalls = firewalls

    async def create(self, request: NetworkRequest) -> Network:
        """Create a network; when it returns, the network stands in the kernel. On failure nothing is left."""
        if request.name in PREDEFINED or request.name == "default":
            raise Forbidden(f"operation is not permitted on predefined {request.name} network ")
        if request.scope == "swarm":
            raise Forbidden("cannot create a swarm scoped network when swarm is not active")
        operator_fields = (request.ingress, request.internal, request.attachable, request.scope)
        if request.config_only and any(operator_fields):
            raise Forbidden(
                "configuration network can only contain network specific fields. Network operator fields like"
                " [ ingress | internal | attachable | scope ] are not supported."
            )
        if request.ingress:
            raise Forbidden("Ingress network can only be global scope network")
        request = self._configured(request)
        if self._core.driver(request.driver).singleton and not request.config_only:
            raise Forbidden(f'only one instance of "{request.driver}" network is allowed')
        return await self.establish(request)

    async def establish(self, request: NetworkRequest) -> Network:
        """The same without the checks that keep users off the predefined networks."""
        core = self._core
        # The notice of a route may still be on its way; there is none of a switch that somebody else turns.
        if core.stale() or not core.settings.ip_forward:
            core.facts = await core.worker.call(lambda kernel, _: kernel.facts())
        key = core.new_id()
        async with core.lanes.hold(key):  # who wants to delete it meanwhile, waits
            return await self._made(key, request)

    async def _made(self, key: str, request: NetworkRequest) -> Network:
        core = self._core
        network = self._described(key, request)
        try:
            core.driver(network.driver).check(network, self._others(network), core.facts)
            self._forwarding.refuse(network)
            await self._refuse_unknown_kinds(network)
            await self._refuse_bound(network)
            if not network.config_only:
                refuse_named(network, core.policies.stored.values())
            if closes(network.options) and not network.config_only:
                refuse_unjudged(network, f"{DEFAULT}=deny")
                await need_bridge_hooks(core, f"{DEFAULT}=deny")
            if not network.name.strip():
                raise InvalidArgument("invalid name: name is empty")
            if core.tables.network_named(network.name) is not None:
                raise Conflict(f"network with name {network.name} already exists")
        except BaseException:
            core.space.drop_network(key)
            raise
        core.tables.put_network(network)
        try:
            desired = [] if network.config_only else core.network_desired(network)
            ready = msgspec.structs.replace(network, status=Status.READY)
            await core.worker.run(
                intents=[network_row(network)], steps=diff(desired, []), statuses=[network_row(ready)]
            )
            await self._forwarding.follow()
        except BaseException:
            await self._abandon(network)
            raise
        core.tables.put_network(ready)
        await self._firewalls.came()
        core.publish("network", "create", key, name=network.name, type=network.driver)
        return ready

    async def delete(self, ref: str) -> None:
        """Delete a network that nobody uses."""
        core = self._core
        network = core.tables.network(ref)
        if network.name in PREDEFINED:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        async with core.lanes.hold(network.id):
            now = core.tables.networks.get(network.id)
            if now is None:
                raise NotFound(f"network {ref} not found")
            self._refuse_in_use(now)
            await self.remove_standing(now)

    async def prune(self, candidates: Sequence[str]) -> list[str]:
        """Delete those that no endpoint uses; the names of the deleted."""
        core = self._core
        deleted = []
        for key in candidates:
            network = core.tables.networks.get(key)
            if network is None or network.name in PREDEFINED or self._users(network):
                continue
            try:
                await self.delete(key)
            except (Forbidden, NotFound):
                continue  # somebody was faster
            except NetloomError as error:
                core.complain(f"network {network.name} could not be pruned", error)
                continue  # as Docker does: it stands, and may be removed later
            deleted.append(network.name)
        core.publish("network", "prune", "", reclaimed="0")
        return deleted

    async def remove_standing(self, network: Network) -> None:
        """Remove a network that nobody uses, whatever its name."""
        core = self._core
        deleting = msgspec.structs.replace(network, status=Status.DELETING)
        core.tables.put_network(deleting)
        try:
            await self._firewalls.goes(network)
            await self._dismantle(deleting)
        except BaseException:
            await self._restore(network)
            raise
        core.publish("network", "destroy", network.id, name=network.name, type=network.driver)

    async def _dismantle(self, network: Network) -> None:
        """Plan to absent, wait until the bridge is unlisted, forget."""
        core = self._core
        desired = core.network_own(network)
        await core.worker.run(intents=[network_row(network)], steps=diff([], desired))
        for wanted in desired:
            if isinstance(wanted, (Bridge, Parent, Shim)):
                await core.links.delete(wanted.index)
        await core.worker.run(statuses=[gone("networks", network.id)])
        core.tables.drop_network(network)
        core.space.drop_network(network.id)
        try:
            await self._forwarding.follow()
        except Exception as error:  # the network is gone all the same
            core.complain("forwarding could not be switched", error)

    async def _abandon(self, network: Network) -> None:
        """Its creation failed: nothing is left. Where that fails too, it can be deleted, or the next start does it."""
        core = self._core
        try:
            await self._dismantle(network)
        except Exception as error:
            core.tables.put_network(msgspec.structs.replace(network, status=Status.DELETING))
            core.complain(f"what was made of network {network.name} could not be taken back", error)

    async def sweep(self) -> None:
        """Networks whose creation failed, and whose undoing failed too."""
        core = self._core
        for network in list(core.tables.networks.values()):
            if network.status is Status.DELETING and not core.lanes.held(network.id):
                async with core.lanes.hold(network.id):
                    await self._dismantle(network)

    async def _restore(self, network: Network) -> None:
        """Its deletion failed: it stands as before."""
        core = self._core
        core.tables.put_network(network)
        if network.status is not Status.READY:
            return  # half of one, whose creation failed
        try:
            desired = [] if network.config_only else core.network_desired(network)
            await core.worker.run(steps=diff(desired, []), statuses=[network_row(network)])
            await self._firewalls.came()
        except Exception as error:
            core.complain(f"network {network.name} could not be put back", error)

    def _configured(self, request: NetworkRequest) -> NetworkRequest:
        """Defaults filled in, and the configuration network's settings where one is named."""
        if request.config_only and request.config_from:
            raise Forbidden("a configuration network cannot depend on another configuration network")
        if request.config_from:
            request = self._from_configuration(request)
        driver = "null" if request.config_only else request.driver or "bridge"
        defaults = {key: value for kind, key, value in self._core.settings.default_network_opts if kind == driver}
        request = msgspec.structs.replace(request, driver=driver, options={**defaults, **request.options})
        records.parse(request.options.get(records.OPTION, ""))
        ipv4, ipv6 = enabled(request)
        return msgspec.structs.replace(request, ipv4=ipv4, ipv6=ipv6)

    def _from_configuration(self, request: NetworkRequest) -> NetworkRequest:
        own = (request.ipam_config, request.ipam_driver not in ("", "default"), request.ipam_options, request.labels)
        if any((*own, request.ipv6, request.ipv4 is False)):
            raise Forbidden(
                "user specified configurations are not supported if the network depends on a configuration network"
            )
        if request.options:
            raise Forbidden(
                "network driver options are not supported if the network depends on a configuration network"
            )
        source = self._core.tables.network_named(request.config_from)
        if source is None or not source.config_only:
            raise NotFound(f'configuration network "{request.config_from}" does not exist')
        return msgspec.structs.replace(
            request,
            ipv4=source.ipv4,
            ipv6=source.ipv6,
            ipam_driver=source.ipam_driver,
            ipam_options=source.ipam_options,
            ipam_config=source.requested,
            options=dict(source.options),
            labels=dict(source.labels),
        )

    def _described(self, key: str, request: NetworkRequest) -> Network:
        """The intent: options checked, addresses allotted (given back by `space.drop_network`)."""
        core = self._core
        request = lan.completed(request, core.facts)
        driver = core.driver(request.driver)
        options, mtu, bridge = driver.options(request, key, core.facts.default_mtu)
        if request.config_only:
            check_config(request.ipam_config, ipv6=bool(request.ipv6))
        plain = request.config_only or driver.singleton
        pools = () if plain else self._pools(key, request)
        network = Network(
            id=key,
            name=request.name,
            created=core.clock.now(),
            driver=request.driver,
            number=core.next_number(),
            scope=request.scope or "local",
            ipv4=bool(request.ipv4),
            ipv6=bool(request.ipv6),
            internal=driver.internal(request),
            attachable=request.attachable,
            config_only=request.config_only,
            config_from=request.config_from,
            ipam_driver=request.ipam_driver or "default",
            ipam_options=request.ipam_options,
            requested=settled(request.ipam_config, pools),
            pools=pools,
            options=options,
            labels=dict(request.labels),
            mtu=mtu,
            bridge=bridge,
        )
        network = lan.placed(network, core.facts)
        if pools and (on_lan(network) or network.adopted):
            core.space.keep_off(key, core.facts.addresses)
        return self._with_host(network) if host_access(network) else network

    def _with_host(self, network: Network) -> Network:
        """An address of each family is the host's own: of its first subnet, as an auxiliary one."""
        pools: list[IpamConfig] = []
        try:
            for pool in network.pools:
                family = 6 if ":" in pool.subnet else 4
                aux = dict(pool.aux)
                if not any((":" in other.subnet) == (family == 6) for other in pools):
                    own = self._core.space.request(network.id, family, None, Reserved("the host's own address"))
                    aux[HOST] = own.partition("/")[0]
                pools.append(msgspec.structs.replace(pool, aux=aux))
        except BaseException:
            self._core.space.drop_network(network.id)
            raise
        return msgspec.structs.replace(network, pools=tuple(pools))

    def _pools(self, key: str, request: NetworkRequest) -> tuple[IpamConfig, ...]:
        """Subnets and gateways, taken."""
        if request.ipam_driver not in ("", "default", "null", DRIVER):
            raise NotFound(f'plugin "{request.ipam_driver}" not found', remedy="use the IPAM driver default or dhcp")
        if request.ipam_driver == DRIVER:
            check_request(request)
            return ()
        neither = not request.ipv4 and not request.ipv6
        if neither and request.driver not in KINDS:
            raise InvalidArgument("IPv4 or IPv6 must be enabled")
        if neither and truth_of(request.options.get(HOST_ACCESS, "")):
            raise InvalidArgument("host_access needs an address of IPv4 or IPv6", remedy="leave out one of both")
        if request.ipam_driver == "null":
            if request.ipam_config:
                raise InvalidArgument("null ipam driver does not handle specific address pool requests")
            if neither:
                return ()
            empty = "ipv4" if request.ipv4 else "ipv6"
            raise InvalidArgument(f"{empty} pool is empty", remedy=f"the {request.driver} driver needs an IPAM driver")
        return self._core.space.add_network(
            key,
            request.name,
            request.ipam_config,
            ipv4=bool(request.ipv4),
            ipv6=bool(request.ipv6),
            host_routes=self._claimed(request),
        )

    def _claimed(self, request: NetworkRequest) -> Sequence[HostRoute]:
        """What of the host's no subnet may meet. One on a parent makes no route: it may name the LAN's own subnet.

        And that of a bridge that is there already is meant to be the network's.
        """
        bridge = request.options.get(BRIDGE_NAME, "") if request.driver == "bridge" else ""
        claimed = [route for route in self._core.facts.claimed if route.link != bridge]
        hosted = any(not pool.aux.keys().isdisjoint(DEFAULT_GATEWAY.values()) for pool in request.ipam_config)
        if request.driver not in KINDS and (hosted or not request.options.get(PARENT)):
            return claimed
        named = {":" in pool.subnet for pool in request.ipam_config}
        return [route for route in claimed if (":" in route.destination) not in named]

    async def _refuse_unknown_kinds(self, network: Network) -> None:
        """Raises Unsupported naming the module that the kernel lacks."""
        for kind in [] if network.config_only else self._core.driver(network.driver).needs(network, self._core.facts):
            if not await self._core.worker.call(partial(_supports, kind=kind)):
                raise lacking(kind, parent_of(network))

    async def _refuse_bound(self, network: Network) -> None:
        """Raises InvalidArgument for an interface that is to go into a container, and cannot."""
        parent = parent_of(network)
        if lends(network) and not await self._core.worker.call(lambda kernel, _: kernel.can_leave(parent)):
            raise bound(parent)

    def _others(self, network: Network) -> list[Network]:
        return [n for n in self._core.tables.networks.values() if n.id != network.id]

    def _users(self, network: Network) -> list[str]:
        core = self._core
        coming = [e for e in core.moving.values() if e.network == network.id]
        endpoints = {e.id: e for e in (*core.tables.endpoints_on(network.id), *coming)}
        return [f'name:"{core.tables.containers[e.container].name}" id:"{key[:12]}"' for key, e in endpoints.items()]

    def _refuse_in_use(self, network: Network) -> None:
        if users := self._users(network):
            raise Forbidden(
                f"error while removing network: network {network.name} has active endpoints ({', '.join(users)})"
            )
        if network.config_only and any(n.config_from == network.name for n in self._core.tables.networks.values()):
            raise Forbidden(f'error while removing network: configuration network "{network.name}" is in use')


def _supports(kernel: Kernel, rows: object, *, kind: LinkKind) -> bool:
    return kernel.supports(kind)
