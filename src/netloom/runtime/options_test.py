"""Options of how a container runs, as the kernel shows them inside. Several in each container: starts are dear."""

import asyncio
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from netloom.model.container import ExecConfig
from netloom.model.errors import Conflict, Failed, Unavailable, Unsupported
from netloom.model.host_config import DeviceMapping, HostConfig, LogConfig, ThrottleDevice, Ulimit
from netloom.model.streams import STDERR, STDOUT
from netloom.runtime.attach_test import drain
from netloom.runtime.conftest import Rig, until
from netloom.runtime.wrapper import CGROUPS

pytestmark = pytest.mark.cgroups

SLEEP = ("sleep", "100")
KEYCTL = (
    "import ctypes; c=ctypes.CDLL(None,use_errno=True); c.syscall(250,0,0,0,0,0); print('errno', ctypes.get_errno())"
)


async def inside(rig: Rig, key: str, script: str, **config: object) -> str:
    """What a shell says in a running container, both streams."""
    exec_config = ExecConfig(cmd=("sh", "-c", script), **config)  # type: ignore[arg-type]
    _, attachment = await rig.runtime.exec(key, os.urandom(32).hex(), exec_config, ())
    found = await drain(attachment)
    await attachment.close()
    return (found[STDOUT] + found[STDERR]).decode()


async def output(rig: Rig, script: str, host_config: HostConfig) -> str:
    """What a shell says that is the container's own program."""
    text, _ = await rig.output("sh", "-c", f"exec 2>&1; {script}", host_config=host_config)
    return text.decode()


async def test_the_default_filter_stands_for_start_exec_and_the_next_start(rig: Rig) -> None:
    script = f"grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status; unshare -U true; python3 -c \"{KEYCTL}\""
    for _ in range(2):
        key = await rig.create(rig.launch("sh", "-c", f"exec 2>&1; {script}; sleep 100"))
        attachment = await rig.runtime.attach(key)
        await rig.runtime.start(key)
        text = b""
        async with asyncio.timeout(10):
            while b"errno" not in text:
                piece = await attachment.read()
                assert piece
                text += piece[1]
        for said in (text.decode(), await inside(rig, key, f"exec 2>&1; {script}", privileged=True)):
            assert "Seccomp:\t2" in said
            assert "NoNewPrivs:\t0" in said
            assert "unshare failed: Operation not permitted" in said
            assert "errno 1\n" in said
        await attachment.close()
        await rig.runtime.delete(key)


async def test_filters_that_were_asked_for(rig: Rig) -> None:
    script = "grep ^Seccomp: /proc/self/status; unshare -U true && echo unshared; mkdir /tmp/x"
    options = ("seccomp=unconfined", "no-new-privileges")
    free = await output(rig, f"grep ^NoNew /proc/self/status; {script}", HostConfig(security_opt=options))
    assert free.split() == ["NoNewPrivs:", "1", "Seccomp:", "0", "unshared"]
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}],
    }
    own = await output(rig, script, HostConfig(security_opt=(f"seccomp={json.dumps(profile)}",)))
    assert "unshared" in own
    assert "Permission denied" in own
    admin = await output(rig, "mount -t tmpfs x /mnt && echo mounted", HostConfig(cap_add=("SYS_ADMIN",)))
    assert admin == "mounted\n"


async def test_privileged_and_unmasked(rig: Rig) -> None:
    script = (
        "grep ^Seccomp: /proc/self/status; unshare -U true && mount -t tmpfs x /mnt && echo free; wc -l </proc/keys"
    )
    assert (await output(rig, script, HostConfig(privileged=True))).split()[:3] == ["Seccomp:", "0", "free"]
    paths = "grep -c ' /proc/' /proc/mounts; ls /dev/full"
    assert await output(rig, paths, HostConfig(masked_paths=(), readonly_paths=())) == "0\n/dev/full\n"


async def test_what_a_process_is_given(rig: Rig) -> None:
    host_config = HostConfig(
        init=True,
        ulimits=(Ulimit("nofile", 200, 100), Ulimit("core", -1, -1)),
        group_add=("audio", "1234"),
        oom_score_adj=100,
        devices=(
            DeviceMapping("/dev/zero", "/dev/nought", "r"),
            DeviceMapping("/dev/kmsg", "/dev/messages", "r"),
            DeviceMapping("/dev/net", "/dev/nets", "rw"),
        ),
        device_cgroup_rules=("c 42:* rwm",),
        shm_size=1 << 20,
    )
    key = await rig.run(*SLEEP, host_config=host_config)
    script = (
        "ulimit -n; ulimit -Hn; ulimit -c; id -G; tr '\\0' ' ' </proc/1/cmdline; echo; cat /proc/1/oom_score_adj; "
        "head -c 3 /dev/nought | od -An -tx1; true >/dev/messages; ls /dev/nets; df -k --output=size /dev/shm"
    )
    said = (await inside(rig, key, script)).split("\n")
    assert said[:6] == ["100", "200", "unlimited", "0 29 1234", "/sbin/docker-init -- sleep 100 ", "100"]
    assert said[6] == " 00 00 00"
    assert "cannot create /dev/messages: Operation not permitted" in "\n".join(said)
    assert {"tun", "1024"} <= {word.strip() for word in said}
    assert (await inside(rig, key, "id -G", user="1:2", group_add=("1234",))) == "2 1234\n"


async def test_open_files_are_not_the_daemons(rig: Rig) -> None:
    rig.runtime._launcher._open_files = (300, 400)
    assert await output(rig, "ulimit -n; ulimit -Hn", HostConfig()) == "300\n400\n"
    assert await output(rig, "ulimit -n", HostConfig(ulimits=(Ulimit("nofile", 200, 100),))) == "100\n"


async def test_namespaces_of_the_host(rig: Rig) -> None:
    links = " ".join(f"/proc/self/ns/{kind}" for kind in ("pid", "uts", "ipc", "mnt"))
    said = await output(rig, f"readlink {links}", HostConfig(pid_mode="host", uts_mode="host", ipc_mode="host"))
    host = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "uts", "ipc", "mnt")]
    assert said.split()[:3] == host[:3]
    assert said.split()[3] != host[3]


async def test_namespaces_of_another_container(rig: Rig) -> None:
    donor = await rig.run(*SLEEP, host_config=HostConfig(ipc_mode="shareable", shm_size=1 << 20))
    await inside(rig, donor, "echo shared >/dev/shm/note")
    guest = HostConfig(ipc_mode=f"container:{donor}", pid_mode=f"container:{donor}", init=True)
    said = await output(rig, "cat /dev/shm/note; tr '\\0' ' ' </proc/1/cmdline; echo back >/dev/shm/reply", guest)
    assert said == "shared\nsleep 100 "
    assert await inside(rig, donor, "cat /dev/shm/reply") == "back\n"
    await rig.runtime.delete(donor)
    with pytest.raises(Conflict, match="failed to join"):
        await rig.runtime.create(rig.launch("true", host_config=guest))


async def test_closed_root_and_no_shared_memory(rig: Rig) -> None:
    script = "for f in /x /etc/x /dev/x; do touch $f 2>/dev/null && echo $f; done; ls -d /dev/shm; ls -d /dev/mqueue"
    said = await output(rig, script, HostConfig(readonly_rootfs=True, ipc_mode="none"))
    assert said.split("\n")[0] == "/dev/x"
    assert "cannot access '/dev/shm'" in said
    assert "/dev/mqueue\n" in said


def limits(controllers: Iterable[str]) -> HostConfig:
    """Of every controller that has one and is there."""
    disks = [name for name in sorted(os.listdir("/sys/block")) if os.path.exists(f"/dev/{name}")]
    return HostConfig(
        memory=64 << 20,
        memory_swap=96 << 20,
        memory_reservation=32 << 20,
        cpu_shares=512,
        cpu_period=50_000,
        cpu_quota=25_000,
        cpuset_cpus="0" if "cpuset" in controllers else "",
        pids_limit=50,
        blkio_device_read_bps=tuple(ThrottleDevice(f"/dev/{disk}", 1 << 20) for disk in disks[:1]),
    )


def files(version: int) -> dict[str, str]:
    """What the limits are in a container's cgroup folders, by file."""
    if version == 1:
        return {
            "memory/memory.limit_in_bytes": "67108864",
            "memory/memory.memsw.limit_in_bytes": "100663296",
            "memory/memory.soft_limit_in_bytes": "33554432",
            "cpu/cpu.shares": "512",
            "cpu/cpu.cfs_quota_us": "25000",
            "cpuset/cpuset.cpus": "0",
            "pids/pids.max": "50",
        }
    return {
        "memory.max": "67108864",
        "memory.swap.max": "33554432",
        "memory.low": "33554432",
        "cpu.max": "25000 50000",
        "cpuset.cpus": "0",
        "pids.max": "50",
    }


async def read_limits(rig: Rig, key: str, names: dict[str, str]) -> dict[str, str]:
    """The same files now, from where the runtime sees them."""
    version = rig.runtime._wrapper.layout.version
    path = rig.runtime.paths.cgroup(key)

    def read() -> dict[str, str]:
        found = {}
        for name in names:
            folder, _, file = name.rpartition("/")
            where = f"{CGROUPS}/{folder}{path}/{file}" if version == 1 else f"{CGROUPS}{path}/{file}"
            found[name] = Path(where).read_text().strip()
        return found

    return await rig.runtime._wrapper.run(read)


async def test_limits_at_the_start_and_later(rig: Rig) -> None:
    layout = rig.runtime._wrapper.layout
    lacking = {"cpuset", "memory", "pids", "swap"} - layout.controllers
    names = "|".join(lacking).replace("swap", "swap|memsw") or "^$"
    wanted = {name: text for name, text in files(layout.version).items() if not re.search(names, name)}
    key = await rig.run(*SLEEP, host_config=limits(layout.controllers))
    assert await read_limits(rig, key, wanted) == wanted
    resources = {"memory": {"limit": 256 << 20, "swap": -1}, "cpu": {"quota": -1}, "pids": {"limit": -1}}
    await rig.runtime.update(key, resources)
    now = await read_limits(rig, key, wanted)
    assert now[next(name for name in wanted if name.endswith("pids.max"))] == "max"
    assert str(256 << 20) in now.values()
    with pytest.raises(Failed, match="failed to write"):
        await rig.runtime.update(key, {"cpu": {"period": 1}})  # µs: the kernel wants 1,000


async def test_what_this_host_lacks_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netloom.runtime.launching.shutil.which", lambda name, path: None)
    with pytest.raises(Unavailable, match="no init program is installed: install the package tini"):
        await rig.runtime.create(rig.launch("true", host_config=HostConfig(init=True)))
    with pytest.raises(Failed, match='error gathering device information while adding custom device "/dev/nope"'):
        await rig.runtime.create(rig.launch("true", host_config=HostConfig(devices=(DeviceMapping("/dev/nope"),))))
    throttle = HostConfig(blkio_device_read_bps=(ThrottleDevice("/dev/nope", 1),))
    with pytest.raises(Failed, match=r"^stat /dev/nope: no such file or directory"):
        await rig.runtime.create(rig.launch("true", host_config=throttle))
    with pytest.raises(Unsupported):
        await rig.runtime.create(rig.launch("true", host_config=HostConfig(blkio_weight=5000)))


async def test_a_parent_of_its_own(rig: Rig) -> None:
    parent = f"/netloom-{rig.instance}/kept"
    key = await rig.run(*SLEEP, host_config=HostConfig(cgroup_parent=parent))
    assert rig.runtime.paths.cgroup(key) == f"{parent}/{key}"
    assert await rig.runtime.processes(key, 0)
    await rig.runtime.delete(key)
    await rig.runtime._wrapper.run(rig.runtime._cgroups.remove_if_empty, parent)


async def test_pausing_outlives_the_daemon_and_ends_with_the_container(rig: Rig) -> None:
    key = await rig.run("sh", "-c", "while :; do :; done")
    pid = rig.runtime._processes[key].init.pid

    def ticks() -> int:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))

    await until(lambda: ticks() > 1, "a program that runs")
    await rig.runtime.freeze(key)
    frozen = ticks()
    await rig.runtime.freeze(key)
    assert [survivor.frozen for survivor in await rig.runtime.survivors()] == [True]
    assert ticks() == frozen
    await rig.runtime.thaw(key)
    await until(lambda: ticks() > frozen, "a program that goes on")
    assert [survivor.frozen for survivor in await rig.runtime.survivors()] == [False]
    await rig.runtime.freeze(key)
    await rig.runtime.delete(key)
    await rig.runtime.thaw(key)


async def test_usage(rig: Rig) -> None:
    key = await rig.run("sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 100")
    pid = rig.runtime._processes[key].init.pid
    await until(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes(), "the end of the work")
    usage = await rig.runtime.usage(key, pid)
    assert usage.read > 0
    assert usage.pids == 1
    assert 1_000_000 < usage.cpu_total < usage.system_cpu
    assert usage.online_cpus == os.cpu_count()
    assert usage.memory > 0
    assert usage.memory_limit == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert usage.networks == {}  # the sandbox has the loopback alone
    await rig.runtime.delete(key)
    assert (await rig.runtime.usage(key, pid)).cpu_total == 0


async def test_logs_nowhere_and_logs_that_begin_anew(rig: Rig) -> None:
    key = await rig.run("echo", "gone", host_config=HostConfig(log_config=LogConfig("none")))
    await rig.ended(key)
    assert not os.path.exists(rig.runtime.log_path(key))
    small = HostConfig(log_config=LogConfig("json-file", {"max-size": "4k", "max-file": "2"}))
    script = "i=0; while [ $i -lt 400 ]; do echo line-$i; i=$((i+1)); done; read x; echo last"
    key = await rig.create(rig.launch("sh", "-c", script, host_config=small, open_stdin=True))
    client = await rig.runtime.attach(key)
    await rig.runtime.start(key)
    await until(lambda: "line-399" in Path(rig.runtime.log_path(key)).read_text(), "the last line")
    assert os.stat(rig.runtime.log_path(key)).st_size <= 8192
    seen: list[bytes] = []

    async def follow() -> None:
        async for record in rig.runtime.logs(key, follow=True, tail=1, since=0, until=0):
            seen.append(record.data)

    following = asyncio.create_task(follow())
    await until(lambda: seen, "a line")
    await client.write(b"go\n")
    async with asyncio.timeout(10):
        await following
    assert seen == [b"line-399", b"last"]
    await client.close()
