"""A whole engine on fakes: one host, whose daemon may fail at any seam, die and start again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

from netloom.drivers.registry import driver
from netloom.engine.core import Core
from netloom.engine.engine import Engine
from netloom.engine.settings import Settings
from netloom.engine.tables import Tables
from netloom.engine.worker import Worker
from netloom.events.bus import Bus
from netloom.images.store import ImageStore
from netloom.ipam.pools import DEFAULT_POOLS, ula_pool
from netloom.ipam.space import AddressSpace
from netloom.model.container import Container, ContainerConfig, ContainerRequest
from netloom.model.desired import HostFacts, HostLink, HostRoute
from netloom.model.endpoint import EndpointConfig, EndpointIpam
from netloom.model.health import HealthConfig
from netloom.model.host_config import HostConfig, PortSpec, RestartPolicy
from netloom.model.network import IpamConfig, Network, NetworkRequest
from netloom.testing import agreement
from netloom.testing.fake_dataplane import FakeDataPlane
from netloom.testing.fake_dhcp import FakeDhcp
from netloom.testing.fake_files import FakeFiles
from netloom.testing.fake_runtime import FakeRuntime
from netloom.testing.fake_volumes import FakeVolumes
from netloom.testing.wire import Wire, Wired, WiredKernel, WiredStore

_FACTS = HostFacts(
    uplinks=("up0",),
    routes=(HostRoute("203.0.113.0/24", "up0"),),
    claimed=(HostRoute("203.0.113.0/24", "up0"),),
    addresses=("203.0.113.5", "127.0.0.1", "::1"),
    interfaces=(
        HostLink("lo", 1),
        HostLink("up0", 2, addresses=("203.0.113.5/24",)),
        HostLink("lan0", 3, mac="02:00:00:00:01:03"),
        HostLink("lan1", 4, mac="02:00:00:00:01:04"),
        HostLink("br0", 5, kind="bridge"),
    ),
    sysctls=(("net/ipv4/conf/up0/forwarding", "0"), ("net/ipv6/conf/all/forwarding", "0")),
)
_SETTINGS: dict[str, Any] = {"state_dir": "/nowhere", "run_dir": "/nowhere", "instance": "00000000", "name": "machine"}


class _Alarm:
    """See engine.ports.Alarm."""

    def __init__(self, due: int, call: Callable[[], None]) -> None:
        self.due = due
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class StillClock:
    """Time stands until somebody moves it; events are ordered by the bus."""

    def __init__(self) -> None:
        self.time = 1_000_000_000_000_000_000
        self._alarms: list[_Alarm] = []

    def now(self) -> int:
        """ns since the epoch."""
        return self.time

    def after(self, delay: int, call: Callable[[], None]) -> _Alarm:
        """Called when the time has been moved so far."""
        alarm = _Alarm(self.time + max(0, delay), call)
        self._alarms.append(alarm)
        return alarm

    @property
    def alarms(self) -> list[int]:
        """How long from now each call will come, the next first."""
        return sorted(a.due - self.time for a in self._alarms if not a.cancelled)

    def forget(self) -> None:
        """Whoever wanted to be called has died."""
        self._alarms.clear()

    def step(self, until: int) -> bool:
        """Go on to the next call, no further than `until`; was there one?"""
        self._alarms = [a for a in self._alarms if not a.cancelled]
        alarm = min(self._alarms, key=lambda a: a.due, default=None)
        if alarm is None or alarm.due > until:
            self.time = max(self.time, until)
            return False
        self._alarms.remove(alarm)
        self.time = max(self.time, alarm.due)
        alarm.call()
        return True


class World:
    """One host: kernel, store, processes, data plane and files outlive the engine, as they do a real daemon.

    `wire` makes any seam fail. Two worlds of one seed that do the same are equal to the last id.
    """

    def __init__(self, *, seed: int = 1, **settings: Any) -> None:
        self.wire = Wire()
        self.kernel = WiredKernel(self.wire, _FACTS)
        self.store = WiredStore(self.wire)
        self.dataplane = FakeDataPlane()
        self.files = FakeFiles()
        self.volumes = FakeVolumes()
        self.dhcp = FakeDhcp()
        self.runtime = FakeRuntime(self.files, self._process_gone)
        self.clock = StillClock()
        self.settings = Settings(**{**_SETTINGS, **settings})
        self.complaints: list[dict[str, Any]] = []  # what went to the loop's exception handler
        self._random = random.Random(seed)
        self._worker: Worker | None = None

    async def start(self) -> Engine:
        """A daemon starts: recovered and ready."""
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.complaints.append(context))
        self._worker = Worker(self.kernel, self.store)
        self._worker.start()
        tables = Tables()
        wired: Any = Wired(self.wire, "runtime", self.runtime, free=("watch", "logs", "log_path"))
        self.core = Core(
            tables=tables,
            settings=self.settings,
            worker=self._worker,
            links=self.kernel,
            runtime=wired,
            dataplane=Wired(self.wire, "dataplane", self.dataplane),
            files=Wired(self.wire, "files", self.files, free=("path",)),
            images=ImageStore(),
            volumes=Wired(self.wire, "volumes", self.volumes, free=("mountpoint",)),
            drivers=driver,
            namespaces=Wired(self.wire, "namespaces", self.runtime, free=("from_fd", "host")),
            dhcp=self.dhcp,
            space=AddressSpace([*DEFAULT_POOLS, ula_pool(bytes(32))]),
            bus=Bus(),
            clock=self.clock,
            random=self._random.randbytes,
        )
        self.engine = Engine(self.core)
        await self.engine.recover()
        return self.engine

    async def stop(self) -> None:
        """The daemon ends in order; containers go on."""
        await self.settle()
        await self.engine.close()
        await self._die()

    async def crash(self) -> None:
        """The daemon is gone from one moment to the next; the wire is broken, so that nobody's last words are heard."""
        while tasks := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await self._die()

    async def restart(self) -> Engine:
        """`stop`, then `start`."""
        await self.stop()
        return await self.start()

    async def advance(self, seconds: float) -> None:
        """Let time go on, and everything that it brings about happen."""
        until = self.clock.time + round(seconds * 1_000_000_000)
        await self.settle()
        while self.clock.step(until):
            await self.settle()

    async def settle(self) -> None:
        """Wait until nothing is under way: no task but the caller's, nothing in the worker's queue."""
        assert self._worker is not None
        while True:
            await self._worker.call(lambda kernel, rows: None)
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            if not others:
                return
            await asyncio.wait(others)

    async def _die(self) -> None:
        assert self._worker is not None
        await self._worker.stop()
        self.clock.forget()
        self.runtime.forget_watches()
        for namespace in list(self.runtime.open_namespaces):
            namespace.close()
        alive = self.runtime.inits.keys()
        self.kernel.keep_inside({c.sandbox for c in self.core.tables.containers.values() if c.id in alive})

    def _process_gone(self, container: str) -> None:
        """The kernel takes a network namespace down with its last process."""
        for endpoint in self.core.tables.endpoints_of(container):
            self.kernel.end_sandbox(endpoint.sandbox)

    # what scenarios are made of

    async def network(self, name: str, subnet: str = "", **fields: Any) -> Network:
        """Create a network."""
        if subnet:
            fields["ipam_config"] = (IpamConfig(subnet=subnet),)
        return await self.engine.create_network(NetworkRequest(name=name, **fields))

    async def container(
        self,
        name: str,
        mode: str = "bridge",
        *,
        networks: Mapping[str, EndpointConfig] | None = None,
        ports: Mapping[str, tuple[PortSpec, ...]] | None = None,
        start: bool = False,
        health: HealthConfig | None = None,
        restart: str = "no",
        **host_config: Any,
    ) -> Container:
        """Create a container, and start it where asked."""
        key, _ = await self.engine.create_container(
            ContainerRequest(
                name=name,
                config=ContainerConfig(
                    image="host", cmd=("sleep", "1"), exposed_ports={p: {} for p in ports or {}}, healthcheck=health
                ),
                host_config=HostConfig(
                    network_mode=mode, port_bindings=dict(ports or {}), restart_policy=_policy(restart), **host_config
                ),
                networks=dict(networks or {}),
            )
        )
        if start:
            await self.engine.start(key)
        return self.engine.container(key)

    def end(self, name: str, code: int = 0) -> None:
        """Its init ends by itself."""
        self.runtime.end(self.engine.container(name).id, code)

    def state(self) -> dict[str, Any]:
        """See `agreement.state`."""
        return agreement.state(self)

    def check(self) -> None:
        """See `agreement.check`; `settle` comes first."""
        agreement.check(self)


def _policy(text: str) -> RestartPolicy:
    """What `--restart` asks for."""
    name, _, count = text.partition(":")
    return RestartPolicy(name, int(count or 0))


def static(ipv4: str = "", **fields: Any) -> EndpointConfig:
    """What `--ip` asks for."""
    return EndpointConfig(ipam=EndpointIpam(ipv4=ipv4) if ipv4 else None, **fields)


def publish(*bindings: str, port: str = "80/tcp") -> dict[str, tuple[PortSpec, ...]]:
    """What `-p` asks for: each binding is `IP:PORT`, `PORT` or empty."""
    specs = []
    for binding in bindings:
        ip, _, host_port = binding.rpartition(":")
        specs.append(PortSpec(host_ip=ip, host_port=host_port))
    return {port: tuple(specs)}
