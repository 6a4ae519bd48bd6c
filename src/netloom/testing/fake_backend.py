"""An engine in memory, for tests of the API: networks and containers without a kernel, programs of `fake_process`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace

from netloom.containers.updating import Update, updated
from netloom.events.bus import Bus
from netloom.firewall.port_changes import added, removed
from netloom.model.archive import ArchiveReader, ArchiveWriter, Change, PathStat
from netloom.model.container import Container, ContainerRequest, Exec, ExecConfig, State
from netloom.model.endpoint import Endpoint, EndpointConfig, PortBinding
from netloom.model.errors import Conflict, Failed, Forbidden, InvalidArgument, NotFound, NotModified
from netloom.model.event import Event
from netloom.model.finding import Finding
from netloom.model.host_config import PortSpec
from netloom.model.names import DnsSight
from netloom.model.network import PREDEFINED, IpamConfig, Network, NetworkRequest, Status
from netloom.model.policy import Denial, Policy
from netloom.model.streams import Attachment, LogRecord
from netloom.model.usage import InterfaceCounters, Usage
from netloom.policy import parse
from netloom.testing.fake_images import HOST_IMAGE, FakeImages
from netloom.testing.fake_process import FakeProcess, Waiting
from netloom.testing.fake_volume_backend import FakeVolumeBackend

T = TypeVar("T", Network, Container)


class FakeBackend:
    """The engine. `now` is its clock; `processes` are the running programs by container or exec id."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.bus = Bus(now)
        self.volumes = FakeVolumeBackend(now)
        self.processes: dict[str, FakeProcess] = {}
        self.records: dict[str, list[LogRecord]] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.bytes_written: dict[str, int] = {}
        self.calls: list[tuple[object, ...]] = []
        self.execs: dict[str, Exec] = {}
        self.networks_by_id: dict[str, Network] = {}
        self.containers_by_id: dict[str, Container] = {}
        self.endpoints_by_id: dict[str, Endpoint] = {}
        self.samples = 0
        self.sight = DnsSight()
        self.exit_codes: dict[str, int] = {}
        self.found: list[Finding] = []
        self.policies_by_name: dict[str, Policy] = {}
        self.denied: list[Denial] = []
        self.images = FakeImages()
        self._changed = asyncio.Condition()
        self._numbers = 0
        for name, driver in zip(PREDEFINED, ("bridge", "host", "null"), strict=True):
            pools = (IpamConfig(subnet="172.17.0.0/16", gateway="172.17.0.1"),) if name == "bridge" else ()
            self.add_network(
                Network(id=self.new_id(), name=name, created=now(), driver=driver, number=self._numbers, pools=pools)
            )

    def new_id(self) -> str:
        """64 digits that differ from all others early."""
        self._numbers += 1
        return f"{self._numbers * 7919:012x}".rjust(16, "e")[::-1] * 4

    def add_network(self, network: Network) -> None:
        """Record it as it is."""
        self.networks_by_id[network.id] = network

    def add_container(self, container: Container, *endpoints: Endpoint) -> None:
        """Record it as it is, with its endpoints."""
        self.containers_by_id[container.id] = container
        for endpoint in endpoints:
            self.endpoints_by_id[endpoint.id] = endpoint

    # networks
    def networks(self) -> list[Network]:
        return list(self.networks_by_id.values())

    def network(self, ref: str) -> Network:
        return _find(self.networks_by_id, ref, f"network {ref} not found")

    def endpoints(self, network: str) -> list[Endpoint]:
        return [endpoint for endpoint in self.endpoints_by_id.values() if endpoint.network == network]

    def subnet_figures(self, network: str) -> dict[str, tuple[int, int]]:
        """See Backend: nobody uses any of them."""
        return {pool.subnet: (3, 2**80) for pool in self.networks_by_id[network].pools}

    async def findings(self) -> list[Finding]:
        """See Backend; tests put them there."""
        return list(self.found)

    async def change_ports(
        self, ref: str, add: Mapping[str, Sequence[PortSpec]], remove: Mapping[str, Sequence[PortSpec]]
    ) -> None:
        found = self.container(ref)
        config, host_config = added(found.config, removed(found.host_config, remove), add)
        self.containers_by_id[found.id] = replace(found, config=config, host_config=host_config)

    def policies(self) -> list[Policy]:
        return list(self.policies_by_name.values())

    def policy(self, name: str) -> Policy:
        if name not in self.policies_by_name:
            raise NotFound(f"policy {name} not found")
        return self.policies_by_name[name]

    async def policy_hits(self) -> dict[str, int]:
        """See Backend: nothing passes."""
        return {}

    async def apply_policy(self, document: object, *, dry_run: bool) -> Policy:
        made = parse.policy(document, dry_run=dry_run)
        self.policies_by_name[made.name] = made
        return made

    async def remove_policy(self, name: str) -> None:
        del self.policies_by_name[self.policy(name).name]

    def denials(self) -> list[Denial]:
        return list(self.denied)

    def repairs(self) -> int:
        """See Backend; nobody changes anything behind this one's back."""
        return 0

    async def names_asked(self, network: str, after: int | None = None) -> DnsSight:
        if after is None or self.sight.recorded < after:
            return DnsSight(self.sight.counts)
        return DnsSight(
            self.sight.counts, tuple(q for q in self.sight.queries if q.number > after), self.sight.recorded
        )

    async def create_network(self, request: NetworkRequest) -> Network:
        if request.name in (*PREDEFINED, "default"):
            raise Forbidden(f"operation is not permitted on predefined {request.name} network ")
        if any(network.name == request.name for network in self.networks()):
            raise Conflict(f"network with name {request.name} already exists")
        number = len(self.networks_by_id) + 15
        network = Network(
            id=self.new_id(),
            name=request.name,
            created=self.now(),
            driver=request.driver or "bridge",
            number=self._numbers,
            internal=request.internal,
            attachable=request.attachable,
            ipv6=bool(request.ipv6),
            ipam_options=request.ipam_options,
            requested=request.ipam_config,
            pools=request.ipam_config or (IpamConfig(subnet=f"172.{number}.0.0/16", gateway=f"172.{number}.0.1"),),
            options=request.options,
            labels=request.labels,
            status=Status.READY,
        )
        self.add_network(network)
        self._publish_network("create", network)
        return network

    async def delete_network(self, ref: str) -> None:
        network = self.network(ref)
        if network.name in PREDEFINED:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        if self.endpoints(network.id):
            raise Forbidden(f"error while removing network: network {network.name} has active endpoints")
        del self.networks_by_id[network.id]
        self._publish_network("destroy", network)

    async def prune_networks(self, candidates: Sequence[str]) -> list[str]:
        deleted = []
        for key in candidates:
            if not self.endpoints(key):
                deleted.append(self.network(key).name)
                await self.delete_network(key)
        return deleted

    async def prune_containers(self, candidates: Sequence[str]) -> tuple[list[str], int]:
        pruned = [key for key in candidates if not self.container(key).state.running]
        for key in pruned:
            await self.remove(key, force=False, volumes=False, link=False)
        return pruned, 7 * len(pruned)

    async def connect(self, network: str, container: str, config: EndpointConfig) -> None:
        if not container:
            raise InvalidArgument('invalid name or ID supplied: ""')
        found, target = self.network(network), self.container(container)
        if found.name in target.networks:
            raise Forbidden(f"endpoint with name {target.name} already exists in network {found.name}")
        self.containers_by_id[target.id] = replace(target, networks={**target.networks, found.name: config})
        if target.state.running:
            self._attach(found, self.containers_by_id[target.id])

    async def disconnect(self, network: str, container: str, *, force: bool) -> None:
        found, target = self.network(network), self.container(container)
        networks = dict(target.networks)
        if networks.pop(found.name, None) is None:
            raise Failed(f"container {target.id} is not connected to network {found.name}")
        self.containers_by_id[target.id] = replace(target, networks=networks)
        for endpoint in self.endpoints(found.id):
            if endpoint.container == target.id:
                del self.endpoints_by_id[endpoint.id]

    # containers
    def containers(self) -> list[Container]:
        return list(reversed(self.containers_by_id.values()))

    def container(self, ref: str) -> Container:
        return _find(self.containers_by_id, ref.removeprefix("/"), f"No such container: {ref}")

    def container_endpoints(self, container: str) -> dict[str, Endpoint]:
        return {e.network: e for e in self.endpoints_by_id.values() if e.container == container}

    async def create_container(self, request: ContainerRequest) -> tuple[str, list[str]]:
        if request.config.image.removesuffix(":latest") != "host":
            raise NotFound(f"No such image: {request.config.image}")
        key = self.new_id()
        name = request.name or f"fake_{key[:8]}"
        if any(container.name == name for container in self.containers()):
            raise Conflict(f'Conflict. The container name "/{name}" is already in use')
        container = Container(
            id=key,
            name=name,
            created=self.now(),
            image_id=HOST_IMAGE.id,
            config=replace(request.config, hostname=request.config.hostname or key[:12]),
            host_config=request.host_config,
            networks=request.networks or {request.host_config.network_mode: EndpointConfig()},
        )
        self.add_container(container)
        self.records[key] = []
        self._publish_container("create", container)
        return key, []

    async def start(self, ref: str) -> None:
        container = self.container(ref)
        if container.state.running:
            raise NotModified(f"container {container.name} is running")
        state = State(status="running", pid=1000 + len(self.processes), started=self.now())
        networks = {n: replace(config, network_id=self.network(n).id) for n, config in container.networks.items()}
        running = replace(container, state=state, sandbox=self.new_id(), networks=networks)
        self.containers_by_id[container.id] = running
        for name in running.networks:
            self._attach(self.network(name), running)
        self._publish_container("start", running)
        process = self.processes.get(container.id)
        if isinstance(process, Waiting):
            process.start()
        else:
            self.processes[container.id] = self._process(running)
        await self._notify()

    async def stop(self, ref: str, *, timeout: int | None, signal: str = "") -> None:
        self.calls.append(("stop", ref, timeout, signal))
        container = self.container(ref)
        if not container.state.running:
            raise NotModified(f"container {container.name} is not running")
        await self.kill(ref, signal or "TERM")

    async def restart(self, ref: str, *, timeout: int | None, signal: str = "") -> None:
        self.calls.append(("restart", ref, timeout, signal))
        if self.container(ref).state.running:
            await self.kill(ref, "KILL")
        await self.start(ref)

    async def kill(self, ref: str, signal: str) -> None:
        self.calls.append(("kill", ref, signal))
        container = self.container(ref)
        if not container.state.running:
            raise Conflict(f"cannot kill container: {ref}: container {container.id} is not running")
        self.processes[container.id].finish(code=137)
        await self.wait(container.id, "not-running")

    async def pause(self, ref: str) -> None:
        await self._freeze(ref, "pause", "paused")

    async def unpause(self, ref: str) -> None:
        await self._freeze(ref, "unpause", "running")

    async def _freeze(self, ref: str, action: str, status: str) -> None:
        found = self.container(ref)
        if found.state.status == status or not found.state.running:
            raise Conflict(f"Container {found.id} is {found.state.status}")
        self.containers_by_id[found.id] = replace(found, state=replace(found.state, status=status))
        self._publish_container(action, found)

    async def update(self, ref: str, update: Update) -> None:
        found = self.container(ref)
        self.containers_by_id[found.id] = replace(found, host_config=updated(found.host_config, update))
        self._publish_container("update", found)

    async def usage(self, ref: str) -> Usage:
        if not self.container(ref).state.running:
            return Usage()
        self.samples += 1
        return Usage(read=self.samples, pids=2, cpu_total=5, networks={"eth0": InterfaceCounters(rx_bytes=7)})

    async def wait(self, ref: str, condition: str) -> tuple[int, str]:
        key = self.container(ref).id

        def holds() -> bool:
            container = self.containers_by_id.get(key)
            if condition == "removed":
                return container is None
            state = container.state.status if container is not None else "exited"
            return state == "exited" if condition == "next-exit" else state != "running"

        async with self._changed:
            await self._changed.wait_for(holds)
        return self.exit_codes.get(key, 0), ""

    async def rename(self, ref: str, name: str) -> None:
        container = self.container(ref)
        if not name:
            raise InvalidArgument("Neither old nor new names may be empty")
        self.containers_by_id[container.id] = replace(container, name=name)

    async def remove(self, ref: str, *, force: bool, volumes: bool, link: bool) -> None:
        container = self.container(ref)
        if container.state.running:
            if not force:
                raise Conflict(f'cannot remove container "{ref}": container is running')
            await self.kill(ref, "KILL")
        self._drop(container.id)
        await self._notify()

    async def resize(self, ref: str, height: int, width: int) -> None:
        self.sizes[self.container(ref).id] = (height, width)

    async def attach(self, ref: str) -> Attachment:
        container = self.container(ref)
        process = self.processes.get(container.id)
        if process is None:
            process = self.processes[container.id] = Waiting(lambda: self._process(container), container.config.tty)
        process.opens += 1
        return process

    async def logs(
        self, ref: str, *, follow: bool, tail: int | None, since: int, until: int
    ) -> AsyncIterator[LogRecord]:
        key = self.container(ref).id
        shown = [r for r in self.records.get(key, ()) if r.time_nano >= since and (not until or r.time_nano <= until)]
        for record in shown if tail is None else shown[len(shown) - tail :]:
            yield record
        if follow and self.container(ref).state.running:
            await self.wait(ref, "not-running")

    async def top(self, ref: str, ps_args: str) -> tuple[list[str], list[list[str]]]:
        self.calls.append(("top", ref, ps_args))
        return ["PID", "CMD"], [["1", "sleep"]]

    async def written(self, containers: Sequence[str]) -> dict[str, int]:
        return {container: self.bytes_written.get(container, 0) for container in containers}

    # execs
    async def stat_path(self, ref: str, path: str) -> PathStat:
        raise NotFound(f"Could not find the file {path} in container {ref}")

    async def read_archive(self, ref: str, path: str) -> ArchiveReader:
        raise NotFound(f"Could not find the file {path} in container {ref}")

    async def write_archive(self, ref: str, path: str, *, keep_kinds: bool, own: bool) -> ArchiveWriter:
        raise NotFound(f"Could not find the file {path} in container {ref}")

    async def export(self, ref: str) -> ArchiveReader:
        raise NotFound(f"No such container: {ref}")

    async def changes(self, ref: str) -> list[Change]:
        return [Change("/a", 1)]

    async def create_exec(self, ref: str, config: ExecConfig) -> Exec:
        container = self.container(ref)
        if not container.state.running:
            raise Conflict(f"container {container.id} is not running")
        made = Exec(id=self.new_id(), container=container.id, config=config)
        self.execs[made.id] = made
        return made

    def exec(self, exec_id: str) -> Exec:
        found = self.execs.get(exec_id)
        if found is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        return found

    async def start_exec(self, exec_id: str, *, tty: bool, size: tuple[int, int] | None) -> Attachment:
        found = self.exec(exec_id)
        found.started = True
        if found.config.cmd[0] == "nosuch":
            found.exit_code = 127
            raise Failed('OCI runtime exec failed: exec: "nosuch": executable file not found in $PATH')
        found.running = True

        def ended(code: int) -> None:
            found.running, found.exit_code = False, code

        if size is not None:
            self.sizes[exec_id] = size
        process = FakeProcess(found.config.cmd, tty, ended)
        self.processes[exec_id] = process
        return process

    async def resize_exec(self, exec_id: str, height: int, width: int) -> None:
        self.sizes[self.exec(exec_id).id] = (height, width)

    # events and the daemon itself
    def events(self, *, since: int, until: int) -> AsyncIterator[Event]:
        return self.bus.subscribe(since, until)

    def container_paths(self, container: str) -> dict[str, str]:
        return {"LogPath": f"/state/containers/{container}/log", "SandboxKey": "/proc/1/ns/net"}

    def daemon_info(self) -> dict[str, object]:
        return {"ID": "fake", "DockerRootDir": "/state"}

    def host_interface(self, endpoint: Endpoint) -> str:
        return endpoint.host_name

    def _process(self, container: Container) -> FakeProcess:
        config = container.config
        command = (*(config.entrypoint or ()), *(config.cmd or ("/bin/sh",)))
        words = " ".join(command[1:]).encode()
        if command[0] in ("echo", "err"):
            stream = "stdout" if command[0] == "echo" else "stderr"
            self.records[container.id].append(LogRecord(self.now(), stream, words))  # type: ignore[arg-type]
        return FakeProcess(command, config.tty, lambda code: self._exited(container.id, code))

    def _exited(self, key: str, code: int) -> None:
        container = self.containers_by_id[key]
        self.exit_codes[key] = code
        state = replace(container.state, status="exited", pid=0, exit_code=code, finished=self.now())
        self.containers_by_id[key] = replace(container, state=state, sandbox="")
        for endpoint in self.container_endpoints(key).values():
            del self.endpoints_by_id[endpoint.id]
        self._publish_container("die", container, exitCode=str(code))
        if container.host_config.auto_remove:
            self._drop(key)
        self._task = asyncio.ensure_future(self._notify())

    def _drop(self, key: str) -> None:
        container = self.containers_by_id.pop(key)
        self.processes.pop(key, None)
        self._publish_container("destroy", container)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _attach(self, network: Network, container: Container) -> None:
        number = len(self.endpoints_by_id) + 2
        key = self.new_id()
        pool = network.pools[0] if network.pools else None
        prefix = pool.subnet.rpartition(".")[0] if pool else ""
        ports = []
        for port, specs in (container.host_config.port_bindings or {}).items():
            inner, _, proto = port.partition("/")
            ports += [PortBinding(proto, int(inner), s.host_ip or "0.0.0.0", int(s.host_port)) for s in specs or ()]
        self.endpoints_by_id[key] = Endpoint(
            id=key,
            network=network.id,
            container=container.id,
            number=number,
            host_name=f"nl{key[:12]}",
            inner_name="eth0",
            inner_index=2,
            mac=f"02:00:00:00:00:{number:02x}" if pool else "",
            ipv4=f"{prefix}.{number}/16" if pool else "",
            gateway4=pool.gateway if pool else "",
            dns_names=(container.name, container.short_id) if network.name not in PREDEFINED else (),
            ports=tuple(ports),
            status=Status.READY,
        )

    def _publish_network(self, action: str, network: Network) -> None:
        self.bus.publish("network", action, network.id, {"name": network.name, "type": network.driver}, self.now())

    def _publish_container(self, action: str, container: Container, **more: str) -> None:
        attributes = {"image": container.config.image, "name": container.name, **container.config.labels, **more}
        self.bus.publish("container", action, container.id, attributes, self.now())


def _find(objects: dict[str, T], ref: str, sentence: str) -> T:
    if ref in objects:
        return objects[ref]
    by_name = [found for found in objects.values() if found.name == ref]
    by_prefix = [found for found in objects.values() if ref and found.id.startswith(ref)]
    if by_name:
        return by_name[0]
    if len(by_prefix) == 1:
        return by_prefix[0]
    if by_prefix:
        raise InvalidArgument(f"multiple IDs found with provided prefix: {ref}")
    raise NotFound(sentence)
