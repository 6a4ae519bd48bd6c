"""The address space of one daemon: its networks' subnets and addresses. In memory, rebuilt from the store at start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Network, IPv6Network, ip_network

from netloom.ipam.addresses import Addresses, Reservation, Reserved
from netloom.ipam.clashes import Clash
from netloom.ipam.occupied import Occupied
from netloom.ipam.pools import DEFAULT_POOLS, Pool, PoolList, Subnet
from netloom.ipam.routes import Routes, words
from netloom.ipam.validate import asks_for_any, check_config, parse_address, parse_prefix
from netloom.model.desired import HostRoute
from netloom.model.errors import Exhausted, Failed, Forbidden, InvalidArgument, NetloomError, NotFound
from netloom.model.network import IpamConfig

_OVERLAP = "invalid pool request: Pool overlaps with other one on this address space"
GATEWAY = Reserved("the gateway")
OF_HOST = Reserved("an address of the host itself")


class _Member:
    """One network's part of the space."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.subnets: list[Addresses] = []


class AddressSpace:
    """Subnets of networks and addresses of endpoints; every call takes effect at once or not at all."""

    def __init__(self, pools: Iterable[Pool] = DEFAULT_POOLS, *, describe: Callable[[str], str] = str) -> None:
        """`pools` of both families; `describe` turns the owner of an address into words for an error."""
        self._pools = PoolList(pools)
        self._describe = describe
        self._members: dict[str, _Member] = {}
        self._occupied = {4: Occupied(), 6: Occupied()}

    def add_network(
        self,
        network_id: str,
        name: str,
        config: Sequence[IpamConfig],
        *,
        ipv4: bool,
        ipv6: bool,
        host_routes: Sequence[HostRoute] = (),
    ) -> tuple[IpamConfig, ...]:
        """Take the subnets asked for, or choose one of each family; complete with gateways, IPv4 first.

        A subnet with the unspecified address asks for a free one of its size (`::/96`). Those of a family come in the
        order of `config`, as `settled` expects it. Raises InvalidArgument for what makes no sense and for exhausted
        pools (Docker's status), Forbidden for a subnet that overlaps a network or something of the host, Failed for a
        gateway that cannot be had.
        """
        check_config(config, ipv6=ipv6)
        routes = Routes(host_routes)
        with ExitStack() as undo:
            undo.callback(self.drop_network, network_id)
            self._members[network_id] = _Member(name)
            pools: list[IpamConfig] = []
            for version, wanted in ((4, ipv4), (6, ipv6)):
                if wanted:
                    entries = [entry for entry in config if _subnet(entry.subnet).version == version]
                    pools += self._take_all(network_id, version, entries, routes)
            undo.pop_all()
        return tuple(pools)

    def restore_network(self, network_id: str, name: str, pools: Sequence[IpamConfig]) -> None:
        """Take what `add_network` gave an earlier daemon, whatever routes the host has by now."""
        self._members[network_id] = _Member(name)
        for entry in pools:
            self._take(network_id, entry)

    def keep_off(self, network_id: str, host_addresses: Iterable[str]) -> None:
        """No endpoint gets an address that the host has itself: for networks on its own LAN."""
        for address in filter(None, map(parse_address, host_addresses)):
            for addresses in self._member(network_id).subnets:
                ours = addresses.version == address.version and address in addresses.subnet
                if ours and addresses.holder(int(address)) is None:
                    addresses.reserve(int(address), OF_HOST).confirm()

    def drop_network(self, network_id: str) -> None:
        """Free its subnets and all its addresses; an unknown one is success."""
        member = self._members.pop(network_id, None)
        for addresses in member.subnets if member else ():
            self._occupied[addresses.version].remove(addresses.subnet, network_id)

    def clashes(self, host_routes: Sequence[HostRoute]) -> list[Clash]:
        """What of the host's has come to overlap a network since that was created."""
        found = []
        for block, route in Routes(host_routes):
            for first, last, network_id in self._occupied[block.version].all_meeting(block):
                subnet = (first, block.max_prefixlen - (last - first).bit_length())
                found.append(
                    Clash(network_id, str(IPv4Network(subnet) if block.version == 4 else IPv6Network(subnet)), route)
                )
        return found

    def reserve(self, network_id: str, family: int, address: str | None, owner: str) -> Reservation:
        """Hold an address of family 4 or 6 until it is confirmed or cancelled: the one named, or the next one.

        An owner is granted again what it holds. Raises Forbidden when somebody else holds it, Exhausted when none is
        left, InvalidArgument when it belongs to no subnet of the network.
        """
        member = self._member(network_id)
        subnets = [addresses for addresses in member.subnets if addresses.version == family]
        if address:
            addresses, number = self._locate(subnets, address)
            return addresses.reserve(number, owner, self._describe)
        for addresses in subnets:
            try:
                return addresses.request(owner)
            except Exhausted:
                continue
        raise Exhausted(
            f"no available IPv{family} addresses on this network's address pools: {member.name} ({network_id})",
            remedy="disconnect a container, or create a network with a larger subnet",
        )

    def request(self, network_id: str, family: int, address: str | None, owner: str) -> str:
        """As `reserve`, confirmed at once: the address with its prefix length."""
        return self.reserve(network_id, family, address, owner).confirm()

    def release(self, network_id: str, address: str) -> None:
        """Free an address, with or without prefix length; unknown ones are success."""
        member = self._members.get(network_id)
        if member is not None and address:
            addresses, number = self._locate(member.subnets, address)
            addresses.release(number)

    def holder(self, network_id: str, address: str) -> str | None:
        """Who holds an address."""
        addresses, number = self._locate(self._member(network_id).subnets, address)
        return addresses.holder(number)

    def figures(self, network_id: str) -> dict[str, tuple[int, int]]:
        """Of each subnet how many addresses are in use or reserved, and how many could be given to endpoints."""
        member = self._members.get(network_id)
        return {str(a.subnet): (a.in_use, a.available) for a in member.subnets} if member else {}

    def _member(self, network_id: str) -> _Member:
        try:
            return self._members[network_id]
        except KeyError:
            raise NotFound(f"network {network_id} not found") from None

    def _locate(self, subnets: Sequence[Addresses], text: str) -> tuple[Addresses, int]:
        address = parse_address(text.partition("/")[0])
        if address is None:
            raise InvalidArgument(f"invalid address {text}")
        for addresses in subnets:
            if addresses.version == address.version and address in addresses.subnet:
                return addresses, int(address)
        raise InvalidArgument(f"no configured subnet or ip-range contain the IP address {text}")

    def _take_all(
        self, network_id: str, version: int, entries: Sequence[IpamConfig], routes: Routes
    ) -> list[IpamConfig]:
        """One family's: the named ones first, so that none of them is chosen for another entry."""
        taken: dict[int, IpamConfig] = {}
        for at, entry in enumerate(entries):
            if not asks_for_any(entry.subnet):
                self._refuse_overlap(_subnet(entry.subnet), network_id, routes)
                taken[at] = self._take(network_id, entry)
        for at, entry in enumerate(entries or [IpamConfig()]):
            if at not in taken:
                size = _subnet(entry.subnet).prefixlen if entry.subnet else None
                taken[at] = self._take(network_id, self._choose(version, routes, size))
        return [taken[at] for at in sorted(taken)]

    def _choose(self, version: int, routes: Routes, size: int | None) -> IpamConfig:
        subnet = self._pools.choose(version, (self._occupied[version].ranges, routes.ranges(version)), size)
        if subnet is None:
            wanted = f"no pool has room for a /{size}, ask for a smaller subnet, " if size is not None else ""
            raise InvalidArgument(
                "all predefined address pools have been fully subnetted",
                remedy=f"{wanted}remove networks that nobody uses (network prune), name a subnet (--subnet), or give "
                "the daemon more pools (--default-address-pool)",
            )
        return IpamConfig(subnet=str(subnet))

    def _refuse_overlap(self, subnet: Subnet, network_id: str, routes: Routes) -> None:
        met = self._occupied[subnet.version].meeting(subnet)
        if met is not None:
            owner = met[2]
            whose = "the same request" if owner == network_id else f"network {self._members[owner].name}"
            theirs = next(
                addresses.subnet
                for addresses in self._members[owner].subnets
                if addresses.version == subnet.version and int(addresses.subnet.network_address) == met[0]
            )
            raise Forbidden(_OVERLAP, remedy=f"{subnet} overlaps {theirs} of {whose}, choose another subnet")
        route = routes.meeting(subnet)
        if route is not None:
            raise Forbidden(
                _OVERLAP,
                remedy=f"{subnet} overlaps {words(route)}, choose another subnet",
            )

    def _take(self, network_id: str, entry: IpamConfig) -> IpamConfig:
        """Record the subnet, its gateway and its auxiliary addresses; the entry completed."""
        subnet = _subnet(entry.subnet)
        addresses = Addresses(subnet, _subnet(entry.ip_range) if entry.ip_range else None)
        self._occupied[subnet.version].add(subnet, network_id)
        self._members[network_id].subnets.append(addresses)
        try:
            if entry.gateway:
                held = addresses.reserve(int(_address(entry.gateway)), GATEWAY)
            else:
                held = addresses.request(GATEWAY)
        except NetloomError as error:
            kind = Exhausted if isinstance(error, Exhausted) else Failed
            raise kind(
                f"failed to allocate gateway ({entry.gateway}): {error.sentence}", remedy=error.remedy
            ) from error
        for label, address in sorted(entry.aux.items()):
            try:
                addresses.reserve(int(_address(address)), Reserved(f"auxiliary address {label}")).confirm()
            except NetloomError as error:
                raise Failed(
                    f"failed to allocate secondary ip address ({label}:{address}): {error.sentence}",
                    remedy=error.remedy,
                ) from error
        gateway = held.confirm().partition("/")[0]
        return IpamConfig(subnet=str(subnet), ip_range=entry.ip_range, gateway=gateway, aux=entry.aux)


def settled(requested: Sequence[IpamConfig], pools: Sequence[IpamConfig]) -> tuple[IpamConfig, ...]:
    """What the user wrote, with the subnets that `add_network` chose in place of the sizes that were asked for."""
    of = {version: iter([p for p in pools if _subnet(p.subnet).version == version]) for version in (4, 6)}
    found = []
    for entry in requested:
        pool = next(of[_subnet(entry.subnet).version], None)  # None: the network is without this family
        sized = pool is not None and asks_for_any(entry.subnet)
        found.append(IpamConfig(subnet=pool.subnet, gateway=pool.gateway) if pool and sized else entry)
    return tuple(found)


def _subnet(text: str) -> Subnet:
    """Of a CIDR that `check_config` has passed, or skipped for its family."""
    prefix = parse_prefix(text)
    return prefix.network if prefix else ip_network(text)


def _address(text: str) -> int:
    address = parse_address(text)
    if address is None:
        raise InvalidArgument(f"invalid address {text}")
    return int(address)
