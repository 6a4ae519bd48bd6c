"""A runtime in folders of its own, and a look at the machine afterwards: nothing may be left."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netloom.engine.specs import launch
from netloom.images.host import host_image
from netloom.model.container import Container, ContainerConfig
from netloom.model.host_config import HostConfig
from netloom.model.launch import Exit, Launch
from netloom.runtime import syscalls
from netloom.runtime.crun_runtime import CrunRuntime

DEADLINE = 30.0
_CLONE_NEWNET = 0x40000000


def new_namespace() -> int:
    """A fresh network namespace, held by nothing but the fd."""
    made: list[int] = []

    def make() -> None:
        syscalls.unshare(_CLONE_NEWNET)
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


async def until(true: Callable[[], Any], what: str) -> Any:
    """Wait for something; its value."""
    end = time.monotonic() + DEADLINE
    while not (value := true()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        await asyncio.sleep(0.005)
    return value


class Rig:
    """Containers of one runtime, by short names."""

    def __init__(self, folder: Path, instance: str) -> None:
        self.state, self.run_dir, self.instance = str(folder / "state"), str(folder / "run"), instance
        self.runtime = self.new_runtime()
        self.netns = new_namespace()
        self.exits: dict[str, asyncio.Future[Exit]] = {}
        self._ids = (f"{number:064x}" for number in itertools.count(1))

    def new_runtime(self) -> CrunRuntime:
        """One more runtime on the same folders: what a daemon has after a restart."""
        return CrunRuntime(self.state, self.run_dir, self.instance)

    def launch(self, *command: str, host_config: HostConfig | None = None, **config: Any) -> Launch:
        """What the engine would hand over."""
        key = next(self._ids)
        container = Container(
            id=key,
            name=f"c{key[-4:]}",
            created=0,
            image_id="",
            config=ContainerConfig(cmd=command, hostname=key[-12:], **config),
            host_config=host_config or HostConfig(),
        )
        return launch(container, host_image(), {}, self.netns)

    async def create(self, launch: Launch) -> str:
        """Create and watch; the id."""
        launched = await self.runtime.create(launch)
        self.exits[launch.id] = asyncio.get_running_loop().create_future()
        self.runtime.watch(launch.id, launched, lambda name, how: self.exits[name].set_result(how))
        return launch.id

    async def run(self, *command: str, **config: Any) -> str:
        """Create and start; the id."""
        key = await self.create(self.launch(*command, **config))
        await self.runtime.start(key)
        return key

    async def ended(self, key: str) -> Exit:
        """How it ended."""
        async with asyncio.timeout(DEADLINE):
            return await self.exits[key]

    async def output(self, *command: str, **config: Any) -> tuple[bytes, int]:
        """Run to the end: what it wrote, and its code."""
        key = await self.create(self.launch(*command, **config))
        attachment = await self.runtime.attach(key)
        await self.runtime.start(key)
        text = b""
        while piece := await attachment.read():
            text += piece[1]
        await attachment.close()
        how = await self.ended(key)
        await self.runtime.delete(key)
        return text, how.code

    def processes(self) -> list[str]:
        """Command lines on this machine that name our folders, zombies left out."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if self.run_dir in line and int(name) != os.getpid():
                found.append(f"{name} {line}")
        return found

    def mounts(self) -> list[str]:
        """Processes in whose mount namespace one of our overlays lies."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                table = Path(f"/proc/{name}/mountinfo").read_text()
            except (FileNotFoundError, ProcessLookupError, OSError):
                continue
            if f"upperdir={self.state}" in table:
                found.append(name)
        return found

    def cgroups(self) -> list[str]:
        """Our cgroup folders, in every hierarchy, below the parent."""
        tops = [root for root, _, _ in os.walk("/sys/fs/cgroup") if f"/netloom-{self.instance}/" in f"{root}/"]
        return [top for top in tops if not top.endswith(f"/netloom-{self.instance}")]

    def left(self) -> dict[str, list[str]]:
        """Everything that a container can leave behind, but for its folder in the state directory."""
        found = {
            "processes": self.processes(),
            "mounts": self.mounts(),
            "cgroups": self.cgroups(),
            "bundles": os.listdir(f"{self.run_dir}/bundles"),
            "crun": os.listdir(f"{self.run_dir}/crun"),
            "exits": os.listdir(f"{self.run_dir}/exits"),
        }
        return {what: things for what, things in found.items() if things}


@pytest.fixture(name="instance")
def _instance() -> Iterator[str]:
    """Eight digits of one's own; the cgroup parent must be gone in the end."""
    instance = secrets.token_hex(4)
    yield instance
    left = [root for root, _, _ in os.walk("/sys/fs/cgroup") if root.endswith(f"/netloom-{instance}")]
    assert not left


@pytest.fixture(name="rig")
async def _rig(tmp_path: Path, instance: str) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path, instance)
    yield rig
    for name in set(os.listdir(f"{rig.run_dir}/bundles")):
        await rig.runtime.delete(name)
    left = rig.left()
    rig.runtime.close()
    os.close(rig.netns)
    assert not left
