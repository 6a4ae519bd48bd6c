"""The engine: what the API calls. It only wires; each subject has a module of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from netloom.containers.logging import NONE
from netloom.containers.updating import Update
from netloom.engine.archiving import Archiving
from netloom.engine.attaching import Attaching
from netloom.engine.clashes import Clashes
from netloom.engine.containers import Containers
from netloom.engine.core import Core
from netloom.engine.denials import Denials
from netloom.engine.doctor import Doctor
from netloom.engine.ending import Ending
from netloom.engine.execs import Execs
from netloom.engine.forwarding import Forwarding
from netloom.engine.health import HealthChecks
from netloom.engine.host_servers import HostServers
from netloom.engine.images import Images
from netloom.engine.info import daemon_info
from netloom.engine.mounting import Mounting
from netloom.engine.networks import Networks
from netloom.engine.other_firewalls import OtherFirewalls
from netloom.engine.pausing import Pausing
from netloom.engine.policies import Policies
from netloom.engine.port_changes import PortChanges
from netloom.engine.predefined import establish
from netloom.engine.reconciler import Reconciler
from netloom.engine.recovery import Recovery
from netloom.engine.removal import Removal
from netloom.engine.repairs import Repairs
from netloom.engine.restarting import Restarting
from netloom.engine.samples import Samples
from netloom.engine.sandbox_files import SandboxFiles
from netloom.engine.starting import Starting
from netloom.engine.stopping import Stopping
from netloom.engine.streams import Waiting
from netloom.engine.top import top
from netloom.engine.updating import Updating
from netloom.engine.volumes import Volumes
from netloom.engine.waits import Waits
from netloom.engine.watching import Watching
from netloom.engine.work import Work
from netloom.model.archive import ArchiveReader, ArchiveWriter, Change, PathStat
from netloom.model.container import Container, ContainerRequest, Exec, ExecConfig
from netloom.model.endpoint import Endpoint, EndpointConfig
from netloom.model.errors import Conflict, Unsupported
from netloom.model.event import Event
from netloom.model.finding import Finding
from netloom.model.host_config import PortSpec
from netloom.model.names import DnsSight
from netloom.model.network import Network, NetworkRequest
from netloom.model.policy import Denial, Policy
from netloom.model.streams import Attachment, LogRecord
from netloom.model.usage import Usage


class Engine:
    """Implements `api.backend.Backend`. `recover` comes first, `close` last."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self._work = Work()
        self._files = SandboxFiles(core)
        self._waits = Waits()
        self._waiting = Waiting()
        self._forwarding = Forwarding(core)
        self._others = OtherFirewalls(core)
        self._clashes = Clashes(core)
        self._doctor = Doctor(core, self._clashes, self._others, self._forwarding)
        self._networks = Networks(core, self._forwarding, self._others)
        self._attaching = Attaching(core, self._files)
        self.volumes = Volumes(core)
        mounting = Mounting(core, self.volumes)
        self._archiving = Archiving(core, mounting, self._files)
        self._ending = Ending(core, self._attaching, mounting, self._waits)
        starting = Starting(core, self._attaching, mounting, self._files, self._waiting, self._ending)
        self._execs = Execs(core)
        self.images = Images(core, self._work)
        self._restarting = Restarting(core, starting, self._waits)
        self._checks = HealthChecks(core, self._execs)
        self._ending.again, self._ending.over = self._restarting.wait, self._checks.end
        starting.began = self._checks.begin
        self._samples = Samples(core)
        self._pausing = Pausing(core)
        self._updating = Updating(core)
        self._port_changes = PortChanges(core, self._attaching)
        self._policies = Policies(core)
        self._denials = Denials(core)
        stopping = Stopping(core, self._ending, self._restarting, self._waits, self._pausing)
        self._removal = Removal(
            core,
            self._attaching,
            self.volumes,
            starting,
            stopping,
            self._restarting,
            self._execs,
            self._checks,
            self._waits,
        )
        self._containers = Containers(
            core, self._attaching, mounting, starting, stopping, self._ending, self._removal, self._waits
        )
        self._containers.follow = self._removal.follow = self._policies.follow
        self._removal.released = self.images.released
        self.reconciler = Reconciler(core, self._attaching, self._files, self._forwarding)
        self._policies.resolvers = self.reconciler.resolvers
        self._repairs = Repairs(core, self.reconciler)
        self.watching = Watching(
            core, self.reconciler, self._forwarding, self._others, self._clashes, self._sweep, self._repairs.tell
        )
        self.host_servers = HostServers(core, self.reconciler)
        core.doubted = self.watching.doubt

    async def recover(self) -> None:
        """Bring store, kernel and processes together, then make the predefined networks stand."""
        await self.volumes.recover()
        self.host_servers.open()
        recovery = Recovery(
            self.core,
            self._attaching,
            self._ending,
            self._removal,
            self.reconciler,
            self._forwarding,
            self._policies,
        )
        await recovery.run()
        await self.volumes.complete_all()
        await establish(self.core, self._networks)
        await self._others.follow()
        await self.images.released()
        await self._checks.resume()
        self._restarting.resume()
        self._clashes.follow()
        living = self.reconciler.living()
        self._attaching.resume_leases(living)
        self._attaching.announcing.adopted(living)
        self.watching.open()

    async def close(self) -> None:
        """Let what is under way finish; containers go on."""
        await self._attaching.announcing.close()
        await self._attaching.leases.close()
        await self._checks.close()
        await self._restarting.close()
        await self._work.drain()
        await self._ending.drain()
        await self._restarting.close()  # whose end was followed just now
        await self.watching.close()
        await self.host_servers.close()
        await self._others.withdraw()

    async def _sweep(self) -> None:
        await self._removal.sweep()
        await self._networks.sweep()

    def networks(self) -> list[Network]:
        """See Backend."""
        return list(self.core.tables.networks.values())

    def network(self, ref: str) -> Network:
        """See Backend."""
        return self.core.tables.network(ref)

    def endpoints(self, network: str) -> list[Endpoint]:
        """See Backend."""
        return list(self.core.tables.endpoints_on(network))

    def subnet_figures(self, network: str) -> dict[str, tuple[int, int]]:
        """See Backend."""
        return self.core.space.figures(network)

    async def findings(self) -> list[Finding]:
        """See Backend."""
        return await self._doctor.findings()

    def repairs(self) -> int:
        """See Backend."""
        return self._repairs.count

    async def names_asked(self, network: str, after: int | None = None) -> DnsSight:
        """See Backend."""
        return await self.core.dataplane.sight(network, after)

    def policies(self) -> list[Policy]:
        """See Backend."""
        return self._policies.all()

    def policy(self, name: str) -> Policy:
        """See Backend."""
        return self._policies.get(name)

    async def policy_hits(self) -> dict[str, int]:
        """See Backend."""
        return await self._policies.hits()

    def denied(
        self, proto: int, source: str, source_port: int, target: str, target_port: int, *, dry_run: bool
    ) -> None:
        """The kernel logged a packet that policies deny, or would deny."""
        self._denials.tell(proto, source, source_port, target, target_port, dry_run=dry_run)

    def denials(self) -> list[Denial]:
        """See Backend."""
        return list(self._denials.ring)

    async def apply_policy(self, document: object, *, dry_run: bool) -> Policy:
        """See Backend."""
        return await self._work.whole(self._policies.apply(document, dry_run=dry_run))

    async def remove_policy(self, name: str) -> None:
        """See Backend."""
        await self._work.whole(self._policies.remove(name))

    async def create_network(self, request: NetworkRequest) -> Network:
        """See Backend."""
        return await self._work.whole(self._networks.create(request))

    async def delete_network(self, ref: str) -> None:
        """See Backend."""
        await self._work.whole(self._networks.delete(ref))

    async def prune_networks(self, candidates: Sequence[str]) -> list[str]:
        """See Backend."""
        return await self._work.whole(self._networks.prune(candidates))

    async def connect(self, network: str, container: str, config: EndpointConfig) -> None:
        """See Backend."""
        await self._work.whole(self._attaching.connect(network, container, config))

    async def disconnect(self, network: str, container: str, *, force: bool) -> None:
        """See Backend."""
        await self._work.whole(self._attaching.disconnect(network, container, force=force))

    def containers(self) -> list[Container]:
        """See Backend."""
        found = map(self._checks.shown, self.core.tables.containers.values())
        return sorted(found, key=lambda c: c.created, reverse=True)

    def container(self, ref: str) -> Container:
        """See Backend."""
        return self._checks.shown(self.core.tables.container(ref))

    def container_endpoints(self, container: str) -> dict[str, Endpoint]:
        """See Backend."""
        return dict(self.core.tables.by_container.get(container, {}))

    async def create_container(self, request: ContainerRequest) -> tuple[str, list[str]]:
        """See Backend."""
        return await self._work.whole(self._containers.create(request))

    async def start(self, ref: str) -> None:
        """See Backend."""
        await self._work.whole(self._containers.start(ref))

    async def stop(self, ref: str, *, timeout: int | None, signal: str = "") -> None:
        """See Backend."""
        await self._work.patient(self._containers.stop(ref, timeout=timeout, signal=signal))

    async def restart(self, ref: str, *, timeout: int | None, signal: str = "") -> None:
        """See Backend."""
        await self._work.patient(self._containers.restart(ref, timeout=timeout, signal=signal))

    async def kill(self, ref: str, signal: str) -> None:
        """See Backend."""
        await self._work.whole(self._containers.kill(ref, signal))

    async def pause(self, ref: str) -> None:
        """See Backend."""
        await self._work.whole(self._pausing.pause(ref))

    async def unpause(self, ref: str) -> None:
        """See Backend."""
        await self._work.whole(self._pausing.unpause(ref))

    async def update(self, ref: str, update: Update) -> None:
        """See Backend."""
        await self._work.whole(self._updating.update(ref, update))

    async def change_ports(
        self, ref: str, add: Mapping[str, Sequence[PortSpec]], remove: Mapping[str, Sequence[PortSpec]]
    ) -> None:
        """See Backend."""
        await self._work.whole(self._port_changes.change(ref, add, remove))

    async def usage(self, ref: str) -> Usage:
        """See Backend."""
        container = self.core.tables.container(ref)
        if not container.state.running:
            return Usage()
        return await self._samples.take(container)

    async def wait(self, ref: str, condition: str) -> tuple[int, str]:
        """See Backend."""
        return await self._waits.begin(self.core.tables.container(ref), condition)

    async def rename(self, ref: str, name: str) -> None:
        """See Backend."""
        await self._work.whole(self._containers.rename(ref, name))

    async def remove(self, ref: str, *, force: bool, volumes: bool, link: bool) -> None:
        """See Backend."""
        await self._work.whole(self._containers.remove(ref, force=force, volumes=volumes))

    async def prune_containers(self, candidates: Sequence[str]) -> tuple[list[str], int]:
        """See Backend."""
        return await self._work.whole(self._removal.prune(candidates))

    async def resize(self, ref: str, height: int, width: int) -> None:
        """See Backend."""
        container = self.core.tables.container(ref)
        if not container.state.running:
            raise Conflict(f"cannot resize a stopped container: unknown: container {container.id} is not running")
        await self.core.runtime.resize(container.id, height, width)

    async def attach(self, ref: str) -> Attachment:
        """See Backend; before the start the stream waits for it."""
        container = self.core.tables.container(ref)
        if container.state.restarting:
            raise Conflict(f"container {container.name} is restarting, wait until the container is running")
        if container.state.paused:
            raise Conflict(f"container {container.id} is paused, unpause the container before attach")
        if container.state.running:
            attachment = await self.core.runtime.attach(container.id)
        else:
            attachment = self._waiting.add(container.id, tty=container.config.tty)
        self.core.publish_container("attach", container)
        return attachment

    def logs(self, ref: str, *, follow: bool, tail: int | None, since: int, until: int) -> AsyncIterator[LogRecord]:
        """See Backend."""
        container = self.core.tables.container(ref)
        if container.host_config.log_config.type == NONE:
            raise Unsupported("configured logging driver does not support reading")
        live = follow and container.state.running
        return self.core.runtime.logs(container.id, follow=live, tail=tail, since=since, until=until)

    async def top(self, ref: str, ps_args: str) -> tuple[list[str], list[list[str]]]:
        """See Backend."""
        return await top(self.core, self.core.tables.container(ref), ps_args)

    async def stat_path(self, ref: str, path: str) -> PathStat:
        """See Backend."""
        return await self._archiving.stat(ref, path)

    async def read_archive(self, ref: str, path: str) -> ArchiveReader:
        """See Backend."""
        return await self._archiving.read(ref, path)

    async def write_archive(self, ref: str, path: str, *, keep_kinds: bool, own: bool) -> ArchiveWriter:
        """See Backend."""
        return await self._archiving.write(ref, path, keep_kinds=keep_kinds, own=own)

    async def export(self, ref: str) -> ArchiveReader:
        """See Backend."""
        return await self._archiving.export(ref)

    async def changes(self, ref: str) -> list[Change]:
        """See Backend."""
        return await self._archiving.changes(ref)

    async def written(self, containers: Sequence[str]) -> dict[str, int]:
        """See Backend."""
        return {container: await self.core.runtime.scratch_size(container) for container in containers}

    async def create_exec(self, ref: str, config: ExecConfig) -> Exec:
        """See Backend."""
        return await self._execs.create(ref, config)

    def exec(self, exec_id: str) -> Exec:
        """See Backend."""
        return self._execs.get(exec_id)

    async def start_exec(self, exec_id: str, *, tty: bool, size: tuple[int, int] | None) -> Attachment:
        """See Backend."""
        return await self._work.whole(self._execs.start(exec_id, tty=tty, size=size))

    async def resize_exec(self, exec_id: str, height: int, width: int) -> None:
        """See Backend."""
        await self._execs.resize(exec_id, height, width)

    def events(self, *, since: int, until: int) -> AsyncIterator[Event]:
        """See Backend."""
        return self.core.bus.subscribe(since=since, until=until)

    def container_paths(self, container: str) -> dict[str, str]:
        """See Backend."""
        found = self._files.paths(self.core.tables.containers[container])
        keys = {"hosts": "HostsPath", "hostname": "HostnamePath", "resolv.conf": "ResolvConfPath"}
        paths = {key: found[name] for name, key in keys.items() if name in found}
        state = self.core.tables.containers[container].state
        if state.running:
            paths["SandboxKey"] = f"/proc/{state.pid}/ns/net"
        if self.core.tables.containers[container].host_config.log_config.type != NONE:
            paths["LogPath"] = self.core.runtime.log_path(container)
        return paths

    def daemon_info(self) -> dict[str, object]:
        """See Backend."""
        return daemon_info(self.core)

    def host_interface(self, endpoint: Endpoint) -> str:
        """See Backend."""
        return endpoint.host_name
