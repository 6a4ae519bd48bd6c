"""What a daemon that was killed leaves behind, and what the next one makes of it."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netloom.model.container import ExecConfig
from netloom.model.launch import Exit, Launched
from netloom.runtime.attach_test import drain
from netloom.runtime.conftest import DEADLINE, Rig, until
from netloom.runtime.processes import Process

pytestmark = pytest.mark.cgroups

DAEMON = """
import asyncio, pathlib, sys
from netloom.runtime.conftest import Rig

async def main(folder, instance, *command):
    rig = Rig(pathlib.Path(folder), instance)
    print("ready", flush=True)
    key = await rig.run(*command, open_stdin=True, stdin_once=False)
    print(key, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(*sys.argv[1:]))
"""


class Daemon:
    """A process with a runtime that starts one container."""

    def __init__(self, folder: Path, instance: str, *command: str) -> None:
        arguments = [sys.executable, "-c", DAEMON, str(folder), instance, *command]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def container(self) -> str:
        """The id, once it runs."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        """As kill -9."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


async def adopt(rig: Rig, key: str) -> asyncio.Future[Exit]:
    """Find the one survivor, and watch it."""
    survivor = (await rig.runtime.survivors())[0]
    assert survivor.id == key
    assert survivor.exit is None
    ended = asyncio.get_running_loop().create_future()
    rig.runtime.watch(key, Launched(survivor.pid, survivor.conmon_pid), lambda _, how: ended.set_result(how))
    return ended


async def test_a_living_container_is_taken_over_whole(tmp_path: Path, instance: str, rig: Rig) -> None:
    daemon = Daemon(tmp_path, instance, "sh", "-c", "echo before; read x; echo after $x; exit 6")
    key = daemon.container()
    daemon.kill()
    ended = await adopt(rig, key)
    _, attachment = await rig.runtime.exec(key, "e" * 64, ExecConfig(cmd=("echo", "inside")), ())
    assert b"inside\n" in (await drain(attachment)).values()
    assert await rig.runtime.exec_wait("e" * 64) == 0
    client = await rig.runtime.attach(key)
    await client.write(b"it\n")
    assert (await ended).code == 6
    lines = [record.data async for record in rig.runtime.logs(key, follow=False, tail=None, since=0, until=0)]
    assert lines == [b"before", b"after it"]
    await client.close()


async def test_one_that_ended_meanwhile_tells_its_code_and_time(tmp_path: Path, instance: str, rig: Rig) -> None:
    daemon = Daemon(tmp_path, instance, "sh", "-c", "read x; exit 44")
    key = daemon.container()
    daemon.kill()
    before = time.time_ns()
    client = await rig.runtime.attach(key)
    await client.write(b"go\n")
    await until(lambda: os.listdir(f"{rig.run_dir}/exits"), "the exit file")
    await client.close()
    survivor = (await rig.runtime.survivors())[0]
    assert survivor.pid == 0
    assert survivor.exit is not None
    assert survivor.exit.code == 44
    assert before - 10**9 <= survivor.exit.time_nano <= time.time_ns()  # a file's time lags by some ticks


async def test_a_pid_that_passed_to_another_is_no_container(tmp_path: Path, instance: str, rig: Rig) -> None:
    daemon = Daemon(tmp_path, instance, "sleep", "100")
    key = daemon.container()
    daemon.kill()
    record = Path(rig.runtime.paths.record(key))
    known = rig.runtime._launcher.record(key)
    assert known is not None
    assert known.init.alive
    forged = record.read_text().replace(f'"started":{known.init.started}', f'"started":{known.init.started - 1}', 1)
    record.write_text(forged)
    os.kill(known.conmon.pid, signal.SIGKILL)  # nobody is there to tell its code either
    await until(lambda: not known.conmon.alive, "conmon's end")
    survivor = (await rig.runtime.survivors())[0]
    assert (survivor.pid, survivor.conmon_pid) == (0, 0)
    assert survivor.exit is not None
    assert survivor.exit.code == -1
    os.kill(known.init.pid, signal.SIGKILL)


@pytest.mark.parametrize("seed", range(6))
async def test_killed_in_mid_start_leaves_nothing(tmp_path: Path, instance: str, rig: Rig, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(3):
        daemon = Daemon(tmp_path, instance, "sleep", "100")
        await until(lambda: os.listdir(f"{rig.run_dir}/bundles"), "the bundle")
        await asyncio.sleep(chance.random() * 0.02)  # anywhere in the 10 ms of a create and a start
        daemon.kill()
        for survivor in await rig.runtime.survivors():
            assert survivor.exit is None  # it runs, or its program never got its start
            await rig.runtime.delete(survivor.id)
        assert not rig.left()


async def test_one_that_never_got_its_start_is_told_and_gone(rig: Rig) -> None:
    key = await rig.create(rig.launch("sleep", "100"))
    (survivor,) = await rig.runtime.survivors()
    assert (survivor.id, survivor.pid, survivor.exit) == (key, 0, None)
    assert not rig.left()


async def test_traces_without_a_bundle_are_swept(rig: Rig) -> None:
    paths = rig.runtime.paths
    key = "d" * 64
    launch = rig.launch("sleep", "100")
    living = await rig.create(launch)
    await rig.runtime.start(living)
    os.mkdir(f"{paths.crun_root}/{key}")
    Path(paths.exits, key).write_text("0")

    def make() -> subprocess.Popen[bytes]:
        sleeper = subprocess.Popen(["sleep", "100"])
        for folder in rig.runtime._cgroups.folders(paths.cgroup_parent):
            os.mkdir(f"{folder}/{key}")
            if "/pids" in folder or folder == f"/sys/fs/cgroup{paths.cgroup_parent}":
                Path(f"{folder}/{key}/cgroup.procs").write_text(str(sleeper.pid))
        return sleeper

    sleeper = await rig.runtime._wrapper.run(make)
    assert [s.id for s in await rig.runtime.survivors()] == [living]
    async with asyncio.timeout(DEADLINE):
        assert await asyncio.to_thread(sleeper.wait) == -signal.SIGKILL
    assert all(key not in folder for folder in rig.cgroups())
    assert os.listdir(paths.crun_root) == [living]
    assert os.listdir(paths.exits) == []
    assert not rig.exits[living].done()


def test_a_process_is_known_by_its_start() -> None:
    own = Process.of(os.getpid())
    assert own.alive
    assert not Process(own.pid, own.started - 1).alive
    assert not Process().alive
    assert Process(own.pid, own.started - 1).open() == -1
