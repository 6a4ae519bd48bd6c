"""Composition root: builds the parts of the daemon, wires them, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
import uvloop

from netloom.api.server import GROUP, ApiServer
from netloom.daemon import notify, tls
from netloom.daemon.commandline import command
from netloom.daemon.config import Config
from netloom.daemon.file_watch import FileWatch
from netloom.daemon.files import RESOLV_CONF, RESOLVED, DiskFiles
from netloom.daemon.logging import configure
from netloom.daemon.single import HostClaim
from netloom.daemon.stop_points import stop_points
from netloom.dataplane.client import DataPlaneClient
from netloom.drivers.registry import driver
from netloom.engine.core import Core
from netloom.engine.engine import Engine
from netloom.engine.ports import Alarm, Namespace
from netloom.engine.settings import Settings
from netloom.engine.tables import Tables
from netloom.engine.worker import Worker
from netloom.events.bus import Bus
from netloom.firewall.policy import LOG_GROUP, TRIED
from netloom.firewall.render import load
from netloom.firewall.rules import ruleset
from netloom.images.store import ImageStore
from netloom.ipam.pools import DEFAULT_POOLS, Pool, ula_pool
from netloom.ipam.space import AddressSpace
from netloom.kernel import namespace
from netloom.kernel.dhcp_ports import DhcpPorts
from netloom.kernel.host import HostKernel, Ruleset
from netloom.kernel.links import Deleter
from netloom.kernel.logged import LogListener
from netloom.kernel.monitor import Changes, Monitor
from netloom.model.errors import KernelError, NetloomError
from netloom.netlink import nft
from netloom.netlink.nflog import Logged
from netloom.runtime.crun_runtime import CrunRuntime
from netloom.store.sqlite import SqliteStore
from netloom.volumes.folders import VolumeFolders

log = logging.getLogger("netloom")

_FAMILIES = {"inet": nft.INET, "bridge": nft.BRIDGE, "ip": nft.IP, "ip6": nft.IP6}
_SWITCH = 0.0005  # seconds: the loop must not wait long for the lock while the worker computes


def main(arguments: Sequence[str]) -> int:
    """Run the daemon until SIGTERM or SIGINT; the exit status."""
    config = command(arguments)
    configure(config.log_level, config.log_format)
    for key in config.passed_over:
        log.info("daemon.json: ignored, not about networks", extra={"key": key})
    open_files = _raise_limits()
    sys.setswitchinterval(_SWITCH)
    try:
        uvloop.run(_serve(config, open_files))
    except NetloomError as error:
        print(f"netloom daemon: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(config: Config, open_files: tuple[int, int]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, _hangup)
    async with _engine(config, open_files) as engine:
        server = ApiServer(engine)
        await server.listen_unix(Path(config.socket), group=config.group or GROUP)
        if config.tcp:
            context = tls.mutual(config.tlscacert, config.tlscert, config.tlskey)
            await server.listen_tcp(*config.tcp, context)
        gc.collect()
        gc.freeze()  # what was made so far stays: no need to look at it again
        notify.ready(f"serving {config.socket}")
        log.info("ready", extra={"socket": config.socket})
        await stop.wait()
        notify.stopping()
        log.info("stopping; containers go on")
        engine.core.bus.close()
        await server.stop()


def _hangup() -> None:
    """What makes other daemons read their files again must not end this one."""
    log.warning("SIGHUP: nothing is read again; restart the daemon, containers go on")


@contextlib.asynccontextmanager
async def _engine(config: Config, open_files: tuple[int, int]) -> AsyncIterator[Engine]:
    """The engine, recovered and ready; ended in the reverse order."""
    async with contextlib.AsyncExitStack() as stack:
        for folder in (config.state_dir, config.run_dir):
            os.makedirs(folder, mode=0o711, exist_ok=True)
        claim = HostClaim()
        stack.callback(claim.release)
        store = SqliteStore(Path(config.state_dir))
        settings = msgspec.structs.replace(
            config.settings(instance=_instance(store), name=os.uname().nodename), cpus=os.cpu_count() or 0
        )
        kernel = HostKernel(_ruleset(settings))
        stack.callback(kernel.close)
        kernel.ensure_ruleset()
        at = stop_points()
        worker = Worker(kernel, store, at)
        worker.start()
        stack.callback(store.close)
        stack.push_async_callback(worker.stop)
        dhcp = DhcpPorts()
        stack.callback(dhcp.close)
        links = Deleter()
        stack.push_async_callback(links.close)
        runtime = CrunRuntime(config.state_dir, config.run_dir, settings.instance, open_files)
        stack.callback(runtime.close)

        async def tell_all() -> None:
            await engine.reconciler.data_plane()

        dataplane = DataPlaneClient(Path(config.run_dir), on_restart=tell_all)
        stack.push_async_callback(dataplane.leave)
        tables = Tables()
        images = ImageStore(f"{config.state_dir}/images")
        stack.callback(images.close)
        engine = Engine(
            Core(
                tables=tables,
                settings=settings,
                worker=worker,
                links=links,
                runtime=runtime,
                dataplane=dataplane,
                files=DiskFiles(config.state_dir),
                images=images,
                volumes=VolumeFolders(config.state_dir),
                drivers=driver,
                namespaces=Namespaces(),
                dhcp=dhcp,
                space=_space(settings, tables),
                bus=Bus(),
                clock=SystemClock(),
                random=os.urandom,
                at=at,
            )
        )
        stack.push_async_callback(engine.close)
        await dataplane.start()
        await engine.recover()

        def changed(changes: Changes) -> None:
            engine.watching.changed(changes.links, facts=changes.facts, ruleset=changes.ruleset, lost=changes.lost)

        stack.callback(_listen(engine))
        unsure = True  # of what came between the engine's look and the monitor's first word

        def stale() -> bool:
            nonlocal unsure
            first, unsure = unsure, False
            return first or engine.watching.behind or monitor.behind()

        monitor = Monitor(changed, kernel.port_ids)
        stack.callback(monitor.close)
        engine.core.stale = stale
        watch = FileWatch((RESOLV_CONF, RESOLVED), engine.host_servers.changed)
        stack.callback(watch.close)
        yield engine


def _listen(engine: Engine) -> Callable[[], None]:
    """Hear what policies deny; how to stop. Where somebody has the log group, or the kernel none, it is told."""

    def tell(one: Logged) -> None:
        engine.denied(
            *(one.proto, one.source, one.source_port, one.target, one.target_port), dry_run=one.prefix == TRIED
        )

    try:
        return LogListener(LOG_GROUP, tell).close
    except (KernelError, OSError) as error:
        log.warning("what policies deny is counted and not told: %s", error)
        return lambda: None


class SystemClock:
    """Implements engine.ports.Clock."""

    def now(self) -> int:
        """ns since the epoch."""
        return time.time_ns()

    def after(self, delay: int, call: Callable[[], None]) -> Alarm:
        """By the event loop's timer."""
        return asyncio.get_running_loop().call_later(max(0, delay) / 1e9, call)


class Namespaces:
    """Implements engine.ports.NamespaceMaker."""

    def from_fd(self, fd: int) -> Namespace:
        """Held by the fd."""
        return namespace.FdNamespace(fd)

    def from_process(self, pid: int) -> Namespace:
        """Held by the process."""
        return namespace.ProcessNamespace.of(pid)

    def host(self) -> Namespace:
        """Our own."""
        return namespace.FdNamespace(namespace.open_own())


def _instance(store: SqliteStore) -> str:
    """What tells this state directory's cgroups from another's; made once."""
    rows = store.load("daemon")
    if "instance" not in rows:
        store.commit([("daemon", "instance", os.urandom(4).hex().encode())], durable=True)
        rows = store.load("daemon")
    return rows["instance"].decode()


def _ruleset(settings: Settings) -> Ruleset:
    rules = ruleset(cooperate=settings.cooperate)
    return Ruleset(rules.version, load(rules), tuple(_FAMILIES[table.family] for table in rules.tables))


def _space(settings: Settings, tables: Tables) -> AddressSpace:
    """The daemon's pools, and this host's own unique local prefix; holders are told by the container's name."""

    def describe(owner: str) -> str:
        container = tables.containers.get(owner)
        return f"container {container.name}" if container else owner

    chosen = [Pool(base, size) for base, size in settings.default_pools]
    if all(":" in pool.base for pool in chosen):
        chosen += DEFAULT_POOLS
    if not any(":" in pool.base for pool in chosen):
        chosen.append(ula_pool(hashlib.sha256(settings.instance.encode()).digest()))
    return AddressSpace(chosen, describe=describe)


def _raise_limits() -> tuple[int, int]:
    """Each container costs a few descriptors; the soft limit is there for programs that use select(2).

    The limits as they were: containers have those.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard
