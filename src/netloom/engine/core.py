"""What every part of the engine shares: the tables, the seams, and the counters."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ESRCH

from netloom.drivers.driver import Driver
from netloom.drivers.parents import on_parent, same_parent
from netloom.engine.dhcp_ports import DhcpPorts
from netloom.engine.lanes import Lanes
from netloom.engine.policy_state import PolicyState
from netloom.engine.ports import (
    Clock,
    DataPlane,
    Files,
    Links,
    Namespace,
    NamespaceMaker,
    Runtime,
    VolumeFolders,
)
from netloom.engine.settings import Settings
from netloom.engine.tables import Tables
from netloom.engine.worker import Worker
from netloom.events.bus import Bus
from netloom.firewall.cooperation import offered
from netloom.images.store import ImageStore
from netloom.ipam.space import AddressSpace
from netloom.model.container import Container
from netloom.model.desired import Desired, HostFacts
from netloom.model.endpoint import Endpoint
from netloom.model.errors import KernelError
from netloom.model.image import ImageView
from netloom.model.network import Network, Status


class Core:
    """One for each daemon; parts reach each other through it and nothing else."""

    def __init__(
        self,
        *,
        tables: Tables,
        settings: Settings,
        worker: Worker,
        links: Links,
        runtime: Runtime,
        dataplane: DataPlane,
        files: Files,
        images: ImageStore,
        volumes: VolumeFolders,
        drivers: Callable[[str], Driver],
        namespaces: NamespaceMaker,
        dhcp: DhcpPorts,
        space: AddressSpace,
        bus: Bus,
        clock: Clock,
        random: Callable[[int], bytes],
        at: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.worker = worker
        self.links = links
        self.runtime = runtime
        self.dataplane = dataplane
        self.files = files
        self.images = images
        self.volumes = volumes
        self.driver = drivers
        self.make_namespace = namespaces
        self.dhcp = dhcp
        self.space = space
        self.bus = bus
        self.clock = clock
        self.random = random
        self.at = at or _nowhere
        self.tables = tables
        self.policies = PolicyState(tables)
        self.lanes = Lanes()
        self.facts = HostFacts()
        self.moving: dict[str, Endpoint] = {}  # endpoints that come or go just now, by id
        self.kept: set[str] = set()  # containers that a restart will start again, though they were run with --rm
        self.unswept: set[str] = set()  # containers that have ended, and whose remains may be in the way
        self.by_hand: set[str] = set()  # containers that somebody stops: no policy starts them again
        self.sandboxes: dict[str, Namespace] = {}  # by sandbox id, while a namespace is known
        self.held: dict[str, Namespace] = {}  # those whose links would go some time after their processes
        self.doubted: Callable[[], None] = _nobody_compares
        self.stale: Callable[[], bool] = _nobody_knows  # may `facts` differ from the host's?
        self._number = 0

    def new_id(self) -> str:
        """64 hex digits."""
        return self.random(32).hex()

    def next_number(self) -> int:
        """A number that no network or endpoint has."""
        self._number += 1
        return self._number

    def numbers_used(self, highest: int) -> None:
        """Numbers up to this one are taken (start-up)."""
        self._number = max(self._number, highest)

    def complain(self, message: str, error: BaseException) -> None:
        """Tell of a failure that is nobody's reply. What stands is in doubt: it is compared and repaired.

        That a sandbox ended under our hands is no failure: its end is on the way to us.
        """
        if not _ended(error):
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
        self.doubted()

    def publish(self, kind: str, action: str, key: str, **attributes: str) -> None:
        """Send an event out now."""
        self.bus.publish(kind, action, key, attributes, self.clock.now())

    def publish_container(self, action: str, container: Container, **attributes: str) -> None:
        """The same for a container: its labels, image and name go along."""
        config = container.config
        told = {**config.labels, "image": config.image, "name": container.name, **attributes}
        self.bus.publish("container", action, container.id, told, self.clock.now())

    def publish_image(self, action: str, image: ImageView, *, name: str, key: str = "") -> None:
        """The same for an image: its labels go along."""
        told = {**(image.config.labels or {}), "name": name}
        self.bus.publish("image", action, key or image.id, told, self.clock.now())

    def network_desired(self, network: Network) -> list[Desired]:
        """What the network's driver wants in the kernel, and policies with it."""
        return self.policies.network(network, self.driver(network.driver).network(network, self.facts))

    def network_own(self, network: Network) -> list[Desired]:
        """What of it no other network needs: what goes with the network."""
        if network.config_only:
            return []
        if not on_parent(network):
            return self.network_desired(network)
        others = [n for n in self.tables.networks.values() if n.id != network.id and n.status is not Status.DELETING]
        shared = {o.key for n in same_parent(network, others) for o in self.network_desired(n)}
        return [o for o in self.network_desired(network) if o.key not in shared]

    def endpoint_desired(self, endpoint: Endpoint) -> list[Desired]:
        """What the endpoint's driver wants in the kernel."""
        network = self.tables.networks[endpoint.network]
        desired = self.driver(network.driver).endpoint(network, endpoint, self.facts)
        if self.settings.cooperate:
            desired = [*desired, *offered(desired)]
        return [*desired, *self.policies.endpoint(endpoint)]


def _ended(error: BaseException) -> bool:
    return isinstance(error, ProcessLookupError) or (isinstance(error, KernelError) and error.errno == ESRCH)


def _nobody_compares() -> None:
    """Until the engine is whole."""


def _nobody_knows() -> bool:
    """Until somebody watches the host."""
    return True


def _nowhere(point: str) -> None:
    """Nobody stops anywhere."""


@contextmanager
def opened(namespace: Namespace) -> Iterator[int]:
    """An fd of the namespace, closed afterwards. Raises ProcessLookupError when its process has gone."""
    fd = namespace.open()
    try:
        yield fd
    finally:
        os.close(fd)
