"""Allotting an endpoint: addresses, MAC, interface names and numbers, before any driver is asked."""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import ip_address, ip_interface, ip_network

from netloom.containers.capabilities import effective
from netloom.drivers.bridge import INDEX_BASE
from netloom.drivers.device import lends
from netloom.drivers.endpoint_options import endpoint_options, further_addresses
from netloom.drivers.ipvlan import routes_by_device
from netloom.drivers.parents import on_parent, parent_of
from netloom.engine.core import Core
from netloom.engine.names import dns_names, has_names
from netloom.ipam.addresses import Reservation
from netloom.ipam.mac import parse_mac, random_mac
from netloom.model.container import Container
from netloom.model.endpoint import Endpoint, EndpointConfig
from netloom.model.errors import Forbidden, NotFound
from netloom.model.network import DEFAULT_GATEWAY, Network, Status

FIRST_INNER = 2  # lo is 1
PREFIX_OPTION = "com.docker.network.container_iface_prefix"


class Allotments:
    """Makes endpoints, and gives back what they hold."""

    def __init__(self, core: Core, give_back: Callable[[Endpoint], None]) -> None:
        """`give_back` is told of every endpoint that is released."""
        self._core = core
        self._give_back = give_back

    def endpoint(
        self, container: Container, network: Network, config: EndpointConfig, others: Collection[Endpoint]
    ) -> Endpoint:
        """A new endpoint beside the others of this container. Raises with nothing taken.

        It counts as moving, so that nobody deletes its network, until it has been moved or released.
        """
        core = self._core
        if network.config_only:
            raise Forbidden("cannot create endpoint on configuration-only network")
        if network.status is not Status.READY:
            raise NotFound(f"network {network.name} not found")
        beside = core.tables.by_network.get(network.id, {}).values()
        core.driver(network.driver).admit(network, container.name, config.mac, beside, core.facts)
        bare = core.driver(network.driver).singleton  # host and none: no interface
        asked = config.ipam
        taken: dict[int, Reservation] = {}
        try:
            for family, wanted, on in (
                (4, asked.ipv4 if asked else "", network.ipv4),
                (6, asked.ipv6 if asked else "", network.ipv6),
            ):
                if on and network.pools:
                    taken[family] = core.space.reserve(network.id, family, wanted or None, container.id)
            key = core.new_id()
            number = 0 if bare else core.next_number()
            index = self._index(network, number, others)
            name = self._name(network, others)
            ifname, sysctls = endpoint_options(config.driver_opts or {}, name, network.driver)
            mac = "" if bare or network.driver == "ipvlan" else self._mac(network, config)
        except BaseException:
            for reservation in taken.values():
                reservation.cancel()
            raise
        addresses = {family: reservation.confirm() for family, reservation in taken.items()}
        on_link = routes_by_device(network)
        endpoint = Endpoint(
            id=key,
            network=network.id,
            container=container.id,
            sandbox=container.sandbox,
            number=number,
            host_name=f"nl{key[:12]}" if network.bridge else "",
            inner_name="" if bare else ifname,
            inner_index=0 if bare else index,
            mac=mac,
            ipv4=addresses.get(4, ""),
            ipv6=addresses.get(6, ""),
            gateway4="" if on_link else _gateway(network, addresses.get(4, "")),
            gateway6="" if on_link else _gateway(network, addresses.get(6, "")),
            on_link=on_link,
            link_local=asked.link_local if asked else (),
            dns_names=dns_names(container, config) if has_names(network) else (),
            sysctls=sysctls,
            further=further_addresses(config.driver_opts or {}),
            routing="CAP_NET_ADMIN" in effective(container.host_config),
        )
        core.moving[key] = endpoint
        return endpoint

    def release(self, endpoint: Endpoint, config: EndpointConfig | None, *, keep_static: bool) -> None:
        """Give addresses back; a stopped container keeps those that its user chose."""
        self._core.moving.pop(endpoint.id, None)
        self._give_back(endpoint)
        if endpoint.lease is not None:
            return
        asked = config.ipam if config else None
        for address, chosen in (
            (endpoint.ipv4, asked.ipv4 if asked else ""),
            (endpoint.ipv6, asked.ipv6 if asked else ""),
        ):
            if address and not (keep_static and chosen):
                self._core.space.release(endpoint.network, address)

    def reserve_static(self, container: Container, network: Network, config: EndpointConfig) -> None:
        """Hold the addresses that the user chose for a container that does not run.

        One that somebody else holds now is left to the start, which names the holder.
        """
        for family, address in self._chosen(network, config):
            if self._core.space.holder(network.id, address) is None:
                self._core.space.request(network.id, family, address, container.id)

    def release_static(self, container: Container, network: Network, config: EndpointConfig) -> None:
        """Give back what `reserve_static` held."""
        for _, address in self._chosen(network, config):
            if self._core.space.holder(network.id, address) == container.id:
                self._core.space.release(network.id, address)

    def _chosen(self, network: Network, config: EndpointConfig) -> list[tuple[int, str]]:
        """The addresses that the user chose, by family; not those of a former network of the same name."""
        wanted = ((4, config.ipam.ipv4), (6, config.ipam.ipv6)) if config.ipam else ()
        subnets = [ip_network(pool.subnet) for pool in network.pools]
        return [(f, text) for f, text in wanted if text and any(ip_address(text) in subnet for subnet in subnets)]

    def _mac(self, network: Network, config: EndpointConfig) -> str:
        """Without one that the user chose: a device keeps its own."""
        own = self._core.facts.interface(parent_of(network)) if lends(network) and not config.mac else None
        return own.mac if own is not None else parse_mac(config.mac) if config.mac else random_mac(self._core.random(6))

    def _index(self, network: Network, number: int, others: Collection[Endpoint]) -> int:
        """Of the inner interface. One that stands on a parent needs an index that is free on the host as well."""
        if on_parent(network):
            return INDEX_BASE + number
        return max((e.inner_index for e in others if e.inner_index < INDEX_BASE), default=FIRST_INNER - 1) + 1

    def _name(self, network: Network, others: Collection[Endpoint]) -> str:
        prefix = network.options.get(PREFIX_OPTION, "eth")
        used = {e.inner_name for e in others}
        return next(name for n in range(len(used) + 1) if (name := f"{prefix}{n}") not in used)


def _gateway(network: Network, address: str) -> str:
    """Where the address's default route goes: to its subnet's gateway, or a router beside it that the user named."""
    if network.internal or not address:
        return ""
    plain = ip_interface(address).ip
    pool = next(p for p in network.pools if plain in ip_network(p.subnet))
    return pool.aux.get(DEFAULT_GATEWAY[plain.version]) or pool.gateway
