"""The seams of the engine: what it needs of the parts that do I/O. Each has a real one and, in `testing`, a fake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from netloom.model.archive import ArchiveReader, ArchiveRoot, ArchiveWriter, Change, PathStat
from netloom.model.container import ExecConfig
from netloom.model.desired import Desired, Element, HostFacts, LinkKind, PassedDrop, Step
from netloom.model.image import ImageConfig
from netloom.model.launch import Exit, Launch, Launched, Survivor
from netloom.model.names import DataPlaneState, DnsSight, HeldPort, NameEntry, Relay, Resolver
from netloom.model.streams import Attachment, LogRecord
from netloom.model.usage import Usage
from netloom.model.volume import Volume

__all__ = ["Exit", "Launch", "Launched", "Survivor"]  # shared with the runtime, which stands below the engine


class Namespace(Protocol):
    """A network namespace that may be entered: held by our fd, or by a process that lives in it."""

    def open(self) -> int:
        """A new fd that the caller closes. Raises ProcessLookupError when its process has gone."""
        ...

    def close(self) -> None:
        """Let go of what holds it. Twice is once."""
        ...


class Kernel(Protocol):
    """The host's network namespace, and the sandboxes' by their `Namespace`. Called from the worker thread only."""

    def apply(self, steps: Sequence[Step], sandboxes: Mapping[str, Namespace]) -> None:
        """Run the steps in order, batched. Already there and already gone are success.

        Raises KernelError for the first step that failed; the steps before it stand.
        """
        ...

    def reclaim(self) -> None:
        """Interfaces of the host that were lent to a container, and that its end has left elsewhere, come home."""
        ...

    def restore_names(self, meant: Mapping[int, tuple[str, str]]) -> list[str]:
        """Links that somebody calls otherwise get their names back: these. `meant` is name and MAC by index."""
        ...

    def observe(self) -> list[Desired]:
        """Everything on the host that carries our mark, as desired objects."""
        ...

    def observe_sandbox(self, namespace: Namespace, sandbox: str) -> list[Desired]:
        """Links (as Veth with what can be known inside), addresses and routes inside one sandbox."""
        ...

    def limit_address(self, within: Namespace, index: int, address: str, seconds: int) -> None:
        """Give an address inside a sandbox so long to live, 0xFFFFFFFF for ever: then the kernel takes it away.

        A sandbox that has ended is success. Raises KernelError.
        """
        ...

    def facts(self) -> HostFacts:
        """Routes, uplinks and MTU of the host now."""
        ...

    def announce(self, link: str, mac: str, addresses: Sequence[str]) -> None:
        """One gratuitous ARP (IPv4) or unsolicited NA (IPv6) for each address, sent out on a link of the host.

        `mac` empty is the link's own. A link that has gone needs none.
        """
        ...

    def send_frame(self, link: str, frame: bytes) -> None:
        """A whole frame out of a link of the host. A link that has gone takes none."""
        ...

    def pass_others(self, bridges: Collection[str], *, wanted: bool, gone: Collection[str] = ()) -> list[PassedDrop]:
        """Chains of other firewalls that drop what is forwarded; ours passes them or not, as wanted.

        By a marked rule, or, where the owner knows interfaces alone, by the place of each of the `bridges`,
        which those that are `gone` lose. Raises Failed or Unavailable in the words of the tool that refused.
        """
        ...

    def end_connections(self, denied: Callable[[int, str, str, int, tuple[str, int]], bool]) -> int:
        """Forget the tracked connections of which (protocol, source, target, its port, what was asked) is denied.

        How many they were. The target is who answers, after translation; asked were an address and a port. A kernel
        without ctnetlink forgets none.
        """
        ...

    def hooks_bridges(self) -> bool:
        """Can what bridges carry pass the IP hooks (br_netfilter)?"""
        ...

    def forget_names(self) -> None:
        """Forget all that the firewall has learnt of names."""
        ...

    def hits(self, sets: Sequence[str]) -> list[tuple[Element, int]]:
        """Elements of these sets of ours, and how often each was hit."""
        ...

    def supports(self, kind: LinkKind) -> bool:
        """Has this kernel links of that kind? Nothing is made; a module may be loaded."""
        ...

    def can_leave(self, link: str) -> bool:
        """Can an interface of the host move into another namespace? Nothing happens to it."""
        ...

    def forgets_connections(self) -> bool:
        """Can this kernel be told to forget connections? A module may be loaded."""
        ...

    def new_namespace(self) -> int:
        """A fresh network namespace, lo up; the fd is the caller's."""
        ...


class Links(Protocol):
    """Deletes links off the hot road. Used from the event loop."""

    async def delete(self, index: int) -> None:
        """Returns when the link is unlisted (not when DELLINK returns). Already gone is success."""
        ...

    async def delete_inside(self, index: int, within: Namespace, sandbox: str) -> None:
        """The same for a link of a sandbox. Already gone, with its namespace too, is success."""
        ...


class Rows(Protocol):
    """The store as the worker sees it: rows in tables, in transactions. Used from one thread."""

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]], *, durable: bool) -> None:
        """Put (table, key, body) or delete (body None), all or none; durable survives power loss."""
        ...

    def load(self, table: str) -> dict[str, bytes]:
        """Every row of a table."""
        ...


class DataPlane(Protocol):
    """The process that never closes: names, held ports, relay. Idempotent calls, used from the event loop."""

    async def open_sandbox(self, sandbox: str, netns: int, pid: int, resolver: Resolver) -> None:
        """Serve 127.0.0.11:53 inside; closes by itself when process `pid` (and with it the sandbox) ends.

        `netns` is the caller's fd; `pid` 0 means not known yet (`bind_sandbox` follows).
        """
        ...

    async def bind_sandbox(self, sandbox: str, pid: int) -> None:
        """From now on the sandbox ends with this process."""
        ...

    async def set_resolver(self, sandbox: str, resolver: Resolver) -> None:
        """Replace what the sandbox's resolver knows."""
        ...

    async def close_sandbox(self, sandbox: str) -> None:
        """Close its sockets and forget every name that belongs to it. Unknown is success."""
        ...

    async def put_names(self, entry: NameEntry) -> None:
        """Add or replace the names of one endpoint."""
        ...

    async def drop_names(self, endpoint: str) -> None:
        """Forget them."""
        ...

    async def hold(self, ports: Sequence[HeldPort]) -> None:
        """Hold all or none. Raises Conflict naming the first (`Bind for IP:PORT failed: …`)."""
        ...

    async def relay(self, relays: Sequence[Relay]) -> None:
        """Add relayed ports."""
        ...

    async def release(self, owner: str, only: Collection[tuple[str, str, int]] = ()) -> None:
        """Release held and relayed ports of a container: all, or `only` some (protocol, address, number)."""
        ...

    async def state(self) -> DataPlaneState:
        """What it holds now."""
        ...

    async def sight(self, network: str, after: int | None = None) -> DnsSight:
        """Counts of the sandboxes on a network; with `after` the queries recorded after that one too.

        Asking for queries has them recorded for some seconds more.
        """
        ...


class Runtime(Protocol):
    """Containers' processes: crun under conmon. Used from the event loop."""

    @property
    def cgroup_version(self) -> int:
        """Of the host's cgroups, 1 or 2."""
        ...

    @property
    def controllers(self) -> frozenset[str]:
        """What the host's cgroups can limit: memory, cpu, pids …; `swap` where memory counts it."""
        ...

    async def create(self, launch: Launch) -> Launched:
        """Mount the root, create the container, stop before its program runs. On failure nothing is left."""
        ...

    async def start(self, container: str) -> None:
        """Let the program run. Raises Failed with Docker's sentence when it cannot (not found: code 127 …)."""
        ...

    def watch(self, container: str, launched: Launched, ended: Callable[[str, Exit], None]) -> None:
        """Call `ended` once, from the event loop, when the init process has ended, whoever caused it."""
        ...

    async def kill(self, container: str, signal: int) -> None:
        """Send a signal to the init process; gone is success."""
        ...

    async def delete(self, container: str) -> None:
        """Remove crun's and conmon's state, cgroups and mounts; the scratch layer and log stay. Idempotent."""
        ...

    async def purge(self, container: str) -> None:
        """Remove everything on disk of a container, log included. Idempotent."""
        ...

    async def scratch_size(self, container: str) -> int:
        """Bytes in its scratch layer."""
        ...

    async def survivors(self) -> list[Survivor]:
        """Containers that an earlier daemon started, and half-made ones cleaned away."""
        ...

    async def attach(self, container: str) -> Attachment:
        """Connect to the stdio that conmon holds."""
        ...

    async def resize(self, container: str, height: int, width: int) -> None:
        """Resize the terminal."""
        ...

    async def check_user(self, container: str, user: str) -> None:
        """Raises Failed with Docker's sentence for a `--user` that a running container does not know."""
        ...

    async def exec(
        self, container: str, exec_id: str, config: ExecConfig, env: Sequence[str]
    ) -> tuple[int, Attachment]:
        """Start a program inside; its pid and its stdio."""
        ...

    async def exec_wait(self, exec_id: str) -> int:
        """The exit code of an exec."""
        ...

    async def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        """Resize an exec's terminal."""
        ...

    async def exec_kill(self, exec_id: str) -> None:
        """SIGKILL the program of an exec; gone is success."""
        ...

    async def freeze(self, container: str) -> None:
        """Stop all its processes where they are; frozen already is success. Raises Failed when one does not stop."""
        ...

    async def thaw(self, container: str) -> None:
        """Let them go on; running or gone is success."""
        ...

    async def update(self, container: str, resources: Mapping[str, Any]) -> None:
        """Change limits (parts of the OCI spec's `linux.resources`). Raises Failed in the kernel's words."""
        ...

    async def usage(self, container: str, pid: int) -> Usage:
        """A sample of what it uses now; zeros for what has gone."""
        ...

    def logs(
        self, container: str, *, follow: bool, tail: int | None, since: int, until: int
    ) -> AsyncIterator[LogRecord]:
        """Log records in order; with `follow` until the container's log ends."""
        ...

    async def stat_path(self, root: ArchiveRoot, path: str) -> PathStat:
        """What is there. Raises NotFound (`missing`), or Failed with the kernel's reason."""
        ...

    async def read_archive(self, root: ArchiveRoot, path: str) -> ArchiveReader:
        """The file or tree as a tar stream. Raises as `stat_path`."""
        ...

    async def write_archive(self, root: ArchiveRoot, path: str, *, keep_kinds: bool, user: str) -> ArchiveWriter:
        """A tar stream extracted into a folder. With `keep_kinds` no folder replaces a file, nor a file a folder;
        with a user all becomes that user's. Raises as `stat_path`, and InvalidArgument (`read-only`)."""
        ...

    async def changes(self, container: str, lower: Sequence[str]) -> list[Change]:
        """Paths that differ from what the layers have, sorted."""
        ...

    def log_path(self, container: str) -> str:
        """Where the log file lies."""
        ...

    async def processes(self, container: str, pid: int) -> list[int]:
        """Pids (the host's) of every process of the container."""
        ...

    async def ps(self, arguments: Sequence[str]) -> str:
        """The output of the host's `ps`. Raises InvalidArgument with its own words when it refuses."""
        ...


class Files(Protocol):
    """The files that a container finds in its /etc. Rewritten in place: a rename would leave it the old one."""

    def host_resolv_conf(self) -> str:
        """The host's resolv.conf now (systemd-resolved's upstreams where it names only the stub)."""
        ...

    def host_file(self, name: str) -> str:
        """Text of the host's /etc/NAME, empty when there is none (host network mode shows them)."""
        ...

    def write(self, container: str, name: str, text: str) -> None:
        """Write STATE/containers/ID/NAME, keeping the file's identity. Raises Failed or Exhausted."""
        ...

    def read(self, container: str, name: str) -> str:
        """Its text, empty when there is none."""
        ...

    def path(self, container: str, name: str = "") -> str:
        """Where it lies; without a name the container's folder."""
        ...


class VolumeFolders(Protocol):
    """Volumes on disk, and the sources of binds. Used from the event loop; nothing here blocks it."""

    def mountpoint(self, name: str) -> str:
        """The folder of a volume's files."""
        ...

    async def load(self) -> list[Volume]:
        """All that there are; what an earlier daemon has left half-made or half-removed is gone."""
        ...

    async def create(self, volume: Volume) -> None:
        """All of it or nothing. Raises Failed or Exhausted."""
        ...

    async def remove(self, name: str) -> None:
        """With all its files; unknown is success. Raises Failed when it stays."""
        ...

    async def size(self, name: str) -> int:
        """Bytes of its files."""
        ...

    async def exists(self, path: str) -> bool:
        """Is there anything at a path of the host?"""
        ...

    async def make_source(self, path: str) -> None:
        """A folder where nothing is. Raises Failed."""
        ...


class Image(Protocol):
    """What the engine needs to know of an image."""

    @property
    def id(self) -> str: ...
    @property
    def config(self) -> ImageConfig: ...
    @property
    def lower(self) -> tuple[str, ...]:
        """Read-only layers of the root, uppermost first."""
        ...


class NamespaceMaker(Protocol):
    """Makes `Namespace` values."""

    def from_fd(self, fd: int) -> Namespace:
        """Held by our fd, which it takes over and closes at `close`."""
        ...

    def from_process(self, pid: int) -> Namespace:
        """Held by a process. Raises ProcessLookupError when it has gone."""
        ...

    def host(self) -> Namespace:
        """The daemon's own."""
        ...


class Alarm(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """It does not come. Too late, or twice, is nothing."""
        ...


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> int:
        """ns since the epoch."""
        ...

    def after(self, delay: int, call: Callable[[], None]) -> Alarm:
        """Call once, `delay` ns from now, from the event loop."""
        ...


DesiredSet = Iterable[Desired]
