"""The prepared mount namespace: cgroups in order whatever the caller's /sys looks like, and nothing of it outside."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from netloom.runtime import syscalls, wrapper
from netloom.runtime.conftest import Rig
from netloom.runtime.wrapper import CgroupLayout, Finished, Wrapper, call, detect_layout, v1_hierarchies

pytestmark = pytest.mark.cgroups


def in_a_thread(work: Callable[[], None]) -> None:
    """Run in a thread of its own, which may leave its namespaces; raises what it raises."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def test_hierarchies() -> None:
    assert v1_hierarchies("9:name=systemd:/\n4:cpu,cpuacct:/x\n0::/y\n") == ("name=systemd", "cpu,cpuacct")
    assert v1_hierarchies("0::/user.slice\n") == ()


async def test_what_is_mounted_inside_is_not_seen_outside() -> None:
    before = Path("/proc/self/mountinfo").read_text()
    inside = Wrapper(1)
    try:
        table = await inside.run(Path("/proc/thread-self/mountinfo").read_text)
        assert " /sys/fs/cgroup" in table
        assert Path("/proc/self/mountinfo").read_text() == before
        shown = await inside.run(call, ["/bin/ls", "/sys/fs/cgroup"])
        assert shown.code == 0
        if inside.layout.version == 1:
            assert "unified" not in shown.output.split()
            assert inside.layout.controllers - {"swap"} <= {*shown.output.split(), "name=systemd"}
    finally:
        inside.close()


def test_where_no_cgroups_are_mounted_as_below_ip_netns_exec() -> None:
    def work() -> None:
        syscalls.unshare(syscalls.CLONE_FS | syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)
        syscalls.mount("none", "/sys/fs/cgroup", "tmpfs", syscalls.MS_RDONLY)
        assert not list(Path("/sys/fs/cgroup").iterdir())
        inside = Wrapper(1)
        try:
            names = inside.submit(call, ["/bin/ls", "/sys/fs/cgroup"]).result().output.split()
            assert "cgroup.procs" in names or "memory" in names
        finally:
            inside.close()

    in_a_thread(work)


@pytest.mark.parametrize(
    ("argv", "finished"),
    [
        (["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], Finished(3, "out\nerr")),
        (["/bin/sh", "-c", "kill -9 $$"], Finished(-9, "")),
    ],
)
def test_calls(argv: list[str], finished: Finished) -> None:
    assert call(argv) == finished


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        call(["/nosuch/program"])


async def test_pure_v2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, instance: str) -> None:
    """The other layout's road. Limits of devices are BPF there, for which crun needs CAP_SYS_RESOURCE: left out."""
    if "cgroup2" not in Path("/proc/filesystems").read_text():
        pytest.skip("no cgroup2")
    monkeypatch.setattr(wrapper, "detect_layout", lambda: CgroupLayout((), frozenset()))
    rig = Rig(tmp_path, instance)
    try:
        assert rig.runtime._wrapper.layout.version == 2
        launch = rig.launch(
            "sh", "-c", "grep -c . /sys/fs/cgroup/cgroup.procs; grep ^0 /proc/self/cgroup; exec sleep 9"
        )
        launch.spec["linux"]["resources"].pop("devices")
        launched = await rig.runtime.create(launch)
        client = await rig.runtime.attach(launch.id)
        await rig.runtime.start(launch.id)
        text = b""
        while b"0::" not in text and (piece := await client.read()):
            text += piece[1]
        assert text.split()[-1] == b"0::/"  # a cgroup namespace of its own
        assert launched.pid in await rig.runtime.processes(launch.id, 0)
        await client.close()
        await rig.runtime.delete(launch.id)
        assert not rig.left()
    finally:
        for name in os.listdir(f"{rig.run_dir}/bundles"):
            await rig.runtime.delete(name)
        rig.runtime.close()
        os.close(rig.netns)


def test_this_machines_layout_is_one_of_both() -> None:
    layout = detect_layout()
    assert bool(layout.hierarchies) == (layout.version == 1)
