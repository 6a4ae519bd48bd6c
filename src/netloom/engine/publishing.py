"""Published ports of containers: chosen, held on the host, given back."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from netloom.drivers.bridge_options import BridgeOptions
from netloom.engine.core import Core
from netloom.firewall.ports import PortRequest, check_local, choose, relayed, requested, untranslated, within
from netloom.firewall.taken import Taken
from netloom.model.container import Container
from netloom.model.endpoint import Endpoint, PortBinding, without
from netloom.model.errors import Conflict, Failed
from netloom.model.names import HeldPort, Relay

_TRIES = 32  # random ports that turn out to be taken by the host's own programs


class Publishing:
    """Which container has which port of the host; one table for all networks."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._bound: dict[str, tuple[PortBinding, ...]] = {}  # container id → bindings
        self._taken = Taken()

    def bound(self, container: str) -> tuple[PortBinding, ...]:
        """The ports that a running container has."""
        return self._bound.get(container, ())

    async def publish(
        self,
        container: Container,
        target: Endpoint,
        options: Mapping[str, str],
        before: tuple[PortBinding, ...] = (),
        *,
        families: Collection[int] = (4, 6),
        beside: Collection[PortBinding] = (),
    ) -> tuple[PortBinding, ...]:
        """Choose and hold all ports that the container asks for, or none, beside those that it has (`before`).

        `target` is the endpoint whose address is published, `options` are those of its network (the default host
        address). Only addresses of `families` are asked for; a port of the host's choosing has the number by which
        one of those `beside` leads there. Raises Failed with Docker's sentence when a port is taken.
        """
        core = self._core
        default_ip = options.get("com.docker.network.bridge.host_binding_ipv4", "") or core.settings.host_ip
        requests = requested(container.config, container.host_config, default_ip)
        if len(families) < 2:
            requests = within(requests, families, beside)
        opened, requests = untranslated(requests, BridgeOptions.parse(options).routed)
        if not requests:
            self._take(container.id, (*before, *opened))
            return tuple(opened)
        fixed = {(r.proto, r.container_port, r.first) for r in requests if r.first == r.last}
        refused: set[tuple[str, int]] = set()
        for attempt in range(_TRIES):
            bindings = await self._chosen(requests, refused, target)
            try:
                await self._held_by(container, (*opened, *bindings), target, before)
            except (Conflict, Failed) as error:
                again = {
                    (b.proto, b.host_port) for b in bindings if (b.proto, b.container_port, b.host_port) not in fixed
                }
                again -= refused
                if not again or attempt == _TRIES - 1:
                    raise Failed(error.sentence, remedy=error.remedy) from error
                refused |= again
                continue
            return (*opened, *bindings)
        return ()

    async def _chosen(
        self, requests: list[PortRequest], refused: set[tuple[str, int]], target: Endpoint
    ) -> tuple[PortBinding, ...]:
        """Free ports on addresses that the host has. Nothing is awaited between the choice and the return of it."""
        core = self._core
        address = _address(target)
        bindings = self._choose(requests, refused)
        try:
            check_local(bindings, core.facts.addresses, address)
        except Failed:
            core.facts = await core.worker.call(lambda kernel, _: kernel.facts())  # it may have come just now
            bindings = self._choose(requests, refused)
            check_local(bindings, core.facts.addresses, address)
        return bindings

    async def _held_by(
        self,
        container: Container,
        bindings: tuple[PortBinding, ...],
        target: Endpoint,
        before: tuple[PortBinding, ...],
    ) -> None:
        """Taken before they are asked for, so that nobody else chooses them meanwhile."""
        self._take(container.id, (*before, *bindings))
        try:
            await self._core.dataplane.hold(self._held(container, bindings, target))
            await self.relay(container, bindings, target)
        except BaseException:
            try:
                await self.retract(container, bindings)
            except Exception as error:
                self._core.complain("held ports could not be released", error)
            raise

    async def retract(self, container: Container, gone: Collection[PortBinding]) -> None:
        """Give some ports of a container back; those that it keeps are held all the while."""
        rest = without(self.bound(container.id), gone)
        self.forget(container.id)
        self._take(container.id, rest)
        only = [(b.proto, b.host_ip, b.host_port) for g in gone for b in g.each() if b.host_port] if rest else []
        if only or not rest:
            await self._core.dataplane.release(container.id, only)

    async def hold_again(self, container: Container, target: Endpoint) -> None:
        """Tell a data plane that knows nothing what a running container has."""
        bindings = self.bound(container.id)
        if bindings:
            await self._core.dataplane.hold(self._held(container, bindings, target))
            await self.relay(container, bindings, target)

    async def relay(self, container: Container, bindings: tuple[PortBinding, ...], target: Endpoint) -> None:
        """The paths that the kernel cannot translate: [::1], and an IPv6 host address to an IPv4-only container."""
        address = _address(target)
        relays = [
            Relay(
                owner=container.id,
                proto=b.proto,
                ip=b.host_ip,
                port=b.host_port,
                target=address,
                target_port=b.container_port,
                sandbox=container.sandbox,
                width=b.width,
            )
            for b in relayed(bindings)
            if address
        ]
        if relays:
            await self._core.dataplane.relay(relays)

    def _held(self, container: Container, bindings: tuple[PortBinding, ...], target: Endpoint) -> list[HeldPort]:
        address = _address(target)
        return [
            HeldPort(
                owner=container.id,
                proto=b.proto,
                ip=b.host_ip,
                port=b.host_port,
                target=address,
                target_port=b.container_port,
                sandbox=container.sandbox,
                width=b.width,
            )
            for b in bindings
            if b.host_port and b.proto != "sctp"
        ]

    def restore(self, container: str, bindings: tuple[PortBinding, ...]) -> None:
        """Ports that a running container has had since before this daemon started."""
        self._take(container, bindings)

    async def withdraw(self, container: str) -> None:
        """Give all ports of a container back; none is success."""
        if container in self._bound:
            self.forget(container)
            await self._core.dataplane.release(container)

    def forget(self, container: str) -> None:
        """They are free for others; what the data plane still holds is released by somebody else."""
        for binding in self._bound.pop(container, ()):
            self._taken.drop(binding)

    def _choose(self, requests: list[PortRequest], refused: set[tuple[str, int]]) -> tuple[PortBinding, ...]:
        def taken(proto: str, first: int, width: int) -> list[tuple[int, str]]:
            found = self._taken.among(proto, first, width)
            if refused and width == 1 and (proto, first) in refused:
                return [*found, (first, "0.0.0.0"), (first, "::")]
            return found

        return tuple(choose(requests, taken, self._core.random))

    def _take(self, container: str, bindings: tuple[PortBinding, ...]) -> None:
        if not bindings:
            return
        self._bound[container] = bindings
        for binding in bindings:
            self._taken.put(binding)


def _address(target: Endpoint) -> str:
    return (target.ipv4 or target.ipv6).partition("/")[0]
