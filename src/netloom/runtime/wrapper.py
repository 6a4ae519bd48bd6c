"""The mount namespace in which every call of crun and conmon runs.

crun 1.8.1 refuses a hybrid cgroup layout (v1 hierarchies beside an empty v2), and `ip netns exec` replaces /sys
without its cgroups. So one private mount namespace is prepared at start-up, with /sys/fs/cgroup in an order that crun
accepts, and a pool of threads lives in it. A process that such a thread spawns inherits the namespace; nothing needs
to hold it, since kill, exec and delete work from a fresh one on a container started in another.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from msgspec import Struct

from netloom.containers.resources import SWAP
from netloom.runtime import syscalls

P = ParamSpec("P")
T = TypeVar("T")

CGROUPS = "/sys/fs/cgroup"
SPAWN_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class CgroupLayout(Struct, frozen=True):
    """What the host's cgroups offer, `swap` among the controllers where memory counts it.

    `hierarchies` are v1's, each by its controllers as mounted; empty on pure v2.
    """

    hierarchies: tuple[str, ...]
    controllers: frozenset[str]

    @property
    def version(self) -> int:
        """1 on hybrid hosts too: their controllers are v1's."""
        return 1 if self.hierarchies else 2


def v1_hierarchies(self_cgroup: str) -> tuple[str, ...]:
    """The v1 hierarchies that exist, out of /proc/self/cgroup (cgroups(7))."""
    fields = [line.split(":", 2) for line in self_cgroup.splitlines()]
    return tuple(controllers for number, controllers, _ in fields if number != "0" and controllers)


def detect_layout() -> CgroupLayout:
    """The layout of this host, seen from where the daemon stands."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        hierarchies = v1_hierarchies(file.read())
    if any(not one.startswith("name=") for one in hierarchies):
        return CgroupLayout(hierarchies, frozenset(name for one in hierarchies for name in one.split(",")))
    return CgroupLayout((), frozenset())


def prepare(layout: CgroupLayout) -> int:
    """Leave the calling thread in a new mount namespace with its cgroups in order; an fd of the namespace."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)
    if layout.version == 1:
        _mount_v1(layout.hierarchies)
    elif syscalls.filesystem_magic(CGROUPS) != syscalls.CGROUP2_MAGIC:
        syscalls.mount("cgroup2", CGROUPS, "cgroup2")
    return os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)


def _mount_v1(hierarchies: Sequence[str]) -> None:
    syscalls.mount("cgroup", CGROUPS, "tmpfs", data="mode=755")
    for hierarchy in hierarchies:
        name = hierarchy.removeprefix("name=")
        folder = f"{CGROUPS}/{name}"
        os.mkdir(folder)
        syscalls.mount("cgroup", folder, "cgroup", data=f"none,{hierarchy}" if name != hierarchy else hierarchy)
        for controller in name.split(","):
            if controller != name:
                os.symlink(name, f"{CGROUPS}/{controller}")


class Finished(Struct, frozen=True):
    """How a spawned program ended; `code` is negative for a signal."""

    code: int
    output: str


def spawn(
    argv: Sequence[str], *, fds: Mapping[int, int] | None = None, env: Mapping[str, str] | None = None, out: int = -1
) -> int:
    """Start a program from the calling thread, in its namespaces; its pid. `fds` maps the child's numbers to ours.

    posix_spawn, since a fork would copy the page tables of the whole daemon.
    """
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    sink = null if out < 0 else out
    actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, sink, 1), (os.POSIX_SPAWN_DUP2, sink, 2)]
    actions += [(os.POSIX_SPAWN_DUP2, ours, theirs) for theirs, ours in (fds or {}).items()]
    try:
        return os.posix_spawn(argv[0], list(argv), {**SPAWN_ENV, **(env or {})}, file_actions=actions, setsid=True)
    finally:
        os.close(null)


def reap(pid: int) -> int:
    """Wait for a child; its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def call(argv: Sequence[str]) -> Finished:
    """Run a program that leaves no child behind, to its end, with what it wrote on either stream."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid = spawn(argv, out=writer)
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    with open(reader, "rb") as file:
        output = file.read()
    return Finished(reap(pid), output.decode(errors="replace").strip())


class Wrapper:
    """The namespace and the threads that live in it. Everything given to `run` sees its mounts."""

    def __init__(self, threads: int = 8) -> None:
        layout = detect_layout()
        with ThreadPoolExecutor(1, thread_name_prefix="netloom-prepare") as own:
            self._namespace = own.submit(prepare, layout).result()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="netloom-runtime", initializer=self._settle)
        found = self._pool.submit(_controllers, layout).result()
        self.layout = CgroupLayout(layout.hierarchies, frozenset(found))

    def _settle(self) -> None:
        syscalls.unshare(syscalls.CLONE_FS)
        self.home()

    def home(self) -> None:
        """Bring the calling pool thread back from a namespace that it made for one container."""
        syscalls.setns(self._namespace, syscalls.CLONE_NEWNS)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a thread of the namespace. It is not cancelled with the caller: it runs to its end."""
        return await asyncio.wrap_future(self._pool.submit(function, *args, **kwargs))

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function in a thread of the namespace, from outside an event loop."""
        return self._pool.submit(function, *args, **kwargs)

    def close(self) -> None:
        """Wait for what runs and let the namespace go."""
        self._pool.shutdown()
        os.close(self._namespace)


def _controllers(layout: CgroupLayout) -> set[str]:
    if layout.version == 1:
        found = set(layout.controllers)
        counts_swap = os.path.exists(f"{CGROUPS}/memory/memory.memsw.limit_in_bytes")
    else:
        with open(f"{CGROUPS}/cgroup.controllers", encoding="ascii") as file:
            found = set(file.read().split())
        counts_swap = _counts_swap_v2()
    return found | {SWAP} if counts_swap and "memory" in found else found


def _counts_swap_v2() -> bool:
    """The root has no limits of its own; where nothing below has any yet, whether the kernel can swap at all."""
    for entry in os.scandir(CGROUPS):
        if os.path.exists(f"{entry.path}/memory.max"):
            return os.path.exists(f"{entry.path}/memory.swap.max")
    return os.path.exists("/proc/swaps")
