"""The life of containers, on the real crun and conmon."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from netloom.model.errors import Failed, InvalidArgument, Unavailable, Unsupported
from netloom.model.host_config import HostConfig
from netloom.model.launch import Launch
from netloom.runtime import syscalls
from netloom.runtime.conftest import Rig, until
from netloom.runtime.devices import host_devices
from netloom.runtime.processes import start_time
from netloom.runtime.root import mount_overlay

pytestmark = pytest.mark.cgroups

ID = "f" * 64


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -TERM $$; sleep 9", 143)]
)
async def test_exit_codes(rig: Rig, script: str, code: int) -> None:
    key = await rig.run("sh", "-c", f"sh -c '{script}'; exit $?")
    how = await rig.ended(key)
    assert (how.code, how.oom_killed) == (code, False)


async def test_nothing_runs_before_start_and_nothing_stays_after_delete(rig: Rig) -> None:
    launch = rig.launch("sh", "-c", "echo ran > /proof")
    key = await rig.create(launch)
    proof = Path(rig.state, "containers", key, "upper/proof")
    assert rig.mounts()
    assert not proof.exists()
    await rig.runtime.start(key)
    assert (await rig.ended(key)).code == 0
    assert proof.read_text() == "ran\n"
    await rig.runtime.delete(key)
    assert not rig.left()
    assert proof.exists()
    await rig.runtime.delete(key)
    await rig.runtime.purge(key)
    await rig.runtime.purge(key)
    assert not Path(rig.state, "containers", key).exists()


async def test_the_machine_does_not_see_the_mount(rig: Rig) -> None:
    await rig.run("sleep", "100")
    assert rig.state not in Path("/proc/self/mountinfo").read_text()


async def test_a_container_starts_again_on_its_scratch_layer(rig: Rig) -> None:
    launch = rig.launch("sh", "-c", "echo x >> /count; exit $(wc -l < /count)")
    for expected in (1, 2):
        key = await rig.create(launch)
        await rig.runtime.start(key)
        assert (await rig.ended(key)).code == expected
        await rig.runtime.delete(key)


async def test_killed_from_outside(rig: Rig) -> None:
    launched = await rig.runtime.create(rig.launch("sleep", "100"))
    key = os.listdir(f"{rig.run_dir}/bundles")[0]
    ended = asyncio.get_running_loop().create_future()
    rig.runtime.watch(key, launched, lambda _, how: ended.set_result(how))
    await rig.runtime.start(key)
    os.kill(launched.pid, signal.SIGKILL)
    assert (await ended).code == 137


async def test_kill_reaches_the_init_and_gone_is_success(rig: Rig) -> None:
    key = await rig.run("sh", "-c", "trap 'exit 9' USR1; echo up; while :; do sleep 0.01; done")
    await until(lambda: b"up" in Path(rig.runtime.log_path(key)).read_bytes(), "the trap")
    await rig.runtime.kill(key, signal.SIGUSR1)
    assert (await rig.ended(key)).code == 9
    await rig.runtime.kill(key, signal.SIGUSR1)
    await rig.runtime.kill(ID, signal.SIGUSR1)


async def test_a_silent_container_outlives_its_monitor_and_its_code_is_not_made_up(rig: Rig) -> None:
    launched = await rig.runtime.create(rig.launch("sh", "-c", "trap 'exit 4' USR1; while :; do sleep 0.01; done"))
    key = os.listdir(f"{rig.run_dir}/bundles")[0]
    ended = asyncio.get_running_loop().create_future()
    rig.runtime.watch(key, launched, lambda _, how: ended.set_result(how))
    await rig.runtime.start(key)
    os.kill(launched.conmon_pid, signal.SIGKILL)
    await until(lambda: not start_time(launched.conmon_pid), "conmon's end")
    assert os.path.exists(f"/proc/{launched.pid}")
    while not ended.done():  # until the trap is set, an init does not hear the signal
        await rig.runtime.kill(key, signal.SIGUSR1)
        await asyncio.sleep(0.01)
    assert (await ended).code in (4, -1)  # 4 where the kernel tells (Linux 6.15), else unknown


async def test_killed_for_memory(rig: Rig) -> None:
    if "memory" not in rig.runtime.controllers:
        pytest.skip("no memory controller")
    limited = HostConfig(memory=16 << 20)
    key = await rig.run("sh", "-c", "x=$(head -c 64000000 /dev/zero | tr '\\0' x); echo $x", host_config=limited)
    how = await rig.ended(key)
    assert (how.code, how.oom_killed) == (137, True)


@pytest.mark.parametrize(
    ("program", "reason", "code"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH', 127),
        ("/nosuch/x", 'exec: "/nosuch/x": stat /nosuch/x: no such file or directory', 127),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied', 126),
        ("/etc", 'exec: "/etc": is a directory: permission denied', 126),
        ("", 'exec: "": executable file not found in $PATH', 127),
    ],
)
async def test_a_program_that_cannot_run_is_told_as_docker_tells_it(
    rig: Rig, program: str, reason: str, code: int
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await rig.runtime.create(rig.launch(program))
    assert caught.value.sentence.startswith("failed to create task for container: failed to create shim task: OCI ")
    assert caught.value.sentence.endswith(f": error during container init: {reason}")
    assert caught.value.exit_code == code
    assert not rig.left()


@pytest.mark.parametrize(
    ("config", "sentence", "code"),
    [
        ({"user": "nosuchuser"}, "unable to find user nosuchuser: no matching entries in passwd file", 128),
        ({"user": "root:nosuch"}, "unable to find group nosuch: no matching entries in group file", 128),
        (
            {"working_dir": "/etc/passwd"},
            'chdir to cwd ("/etc/passwd") set in config.json failed: not a directory',
            128,
        ),
    ],
)
async def test_a_failed_create_leaves_nothing(rig: Rig, config: dict[str, str], sentence: str, code: int) -> None:
    with pytest.raises(Failed) as caught:
        await rig.runtime.create(rig.launch("true", **config))
    assert caught.value.sentence.endswith(sentence)
    assert caught.value.exit_code == code
    assert not rig.left()


async def test_a_limit_without_its_controller_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = rig.runtime._wrapper.layout
    monkeypatch.setattr(rig.runtime._wrapper, "layout", type(layout)(layout.hierarchies, frozenset({"cpu"})))
    with pytest.raises(Unsupported, match="cgroup controller pids"):
        await rig.runtime.create(rig.launch("true", host_config=HostConfig(pids_limit=5)))
    assert not rig.left()


async def test_what_the_program_sees(rig: Rig) -> None:
    script = r"""
        echo pid=$$
        echo host=$(hostname)
        echo env=$(env | grep -v -e PWD -e _= -e SHLVL | sort | tr '\n' ';')
        grep -E '^(CapEff|NoNewPrivs|Groups)' /proc/self/status | tr '\t' ' '
        echo port=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)
        echo secrets=$(cat /etc/shadow /root/.bashrc 2>/dev/null | wc -c) $(ls -A /run | wc -l)
        echo net=$(cd /sys/class/net && ls -d */ | tr -d /)
        for path in /proc/sys /sys; do grep -q " $path [a-z]* ro" /proc/mounts && echo $path ro; done
        touch /usr/new && echo scratch
    """
    text, code = await rig.output("sh", "-c", script)
    lines = text.decode().splitlines()
    assert code == 0, text
    name = f"{1:012x}"
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert lines[:3] == ["pid=1", f"host={name}", f"env=HOME=/root;HOSTNAME={name};{path};"]
    assert lines[3:] == [
        "Groups: 0 ",
        "CapEff: 00000000a80425fb",
        "NoNewPrivs: 0",
        "port=0",
        "secrets=0 0",
        "net=lo",
        "/proc/sys ro",
        "/sys ro",
        "scratch",
    ]
    assert not os.path.exists("/usr/new")


async def test_the_states_of_other_containers_are_hidden(rig: Rig) -> None:
    text, _ = await rig.output("sh", "-c", f"ls -A {rig.state} {rig.run_dir} 2>/dev/null | grep -v :; echo end")
    assert text.split() == [b"end"]


async def test_processes_are_all_of_the_container(rig: Rig) -> None:
    launched = await rig.runtime.create(rig.launch("sh", "-c", "sleep 100 & sleep 100"))
    key = os.listdir(f"{rig.run_dir}/bundles")[0]
    await rig.runtime.start(key)
    for _ in range(1000):
        pids = await rig.runtime.processes(key, launched.pid)
        if len(pids) == 3:
            break
        await asyncio.sleep(0.005)
    assert len(pids) == 3
    assert pids[0] == launched.pid


async def test_cancelling_a_create_leaves_what_delete_removes(rig: Rig) -> None:
    launch = rig.launch("sleep", "100")
    task = asyncio.create_task(rig.runtime.create(launch))
    await until(lambda: os.path.exists(f"{rig.run_dir}/bundles/{launch.id}"), "the bundle")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await rig.runtime.delete(launch.id)
    assert not rig.left()


async def test_many_at_once(rig: Rig) -> None:
    keys = await asyncio.gather(*(rig.run("sh", "-c", f"exit {n}") for n in range(12)))
    assert [(await rig.ended(key)).code for key in keys] == list(range(12))
    await asyncio.gather(*(rig.runtime.delete(key) for key in keys))
    assert not rig.left()


async def test_two_daemons_do_not_meet(tmp_path: Path, rig: Rig, instance: str) -> None:
    other = Rig(tmp_path / "other", instance[::-1])
    try:
        launches = [one.launch("sleep", "100") for one in (rig, other)]
        assert launches[0].id == launches[1].id
        for one, launch in zip((rig, other), launches, strict=True):
            await one.create(launch)
            await one.runtime.start(launch.id)
        await other.runtime.delete(launches[1].id)
        assert not other.left()
        assert [s.pid > 0 for s in await rig.runtime.survivors()] == [True]
        assert not rig.exits[launches[0].id].done()
    finally:
        for name in os.listdir(f"{other.run_dir}/bundles"):
            await other.runtime.delete(name)
        other.runtime.close()
        os.close(other.netns)


async def test_the_spec_that_ran_is_the_one_that_was_asked_for(rig: Rig) -> None:
    launch: Launch = rig.launch("sleep", "100", user="nobody")
    key = await rig.create(launch)
    spec = json.loads(Path(rig.run_dir, "bundles", key, "config.json").read_text())
    assert spec["process"]["user"] == {"uid": 65534, "gid": 65534, "additionalGids": [65534]}
    assert "HOME=/nonexistent" in spec["process"]["env"]
    assert spec["linux"]["cgroupsPath"] == f"/netloom-{rig.instance}/{key}"


async def test_a_privileged_container_has_the_hosts_devices(rig: Rig) -> None:
    text, code = await rig.output(
        "sh", "-c", "cd /dev; find . -type c -o -type b", host_config=HostConfig(privileged=True)
    )
    assert code == 0
    inside = {line.removeprefix("./") for line in text.decode().split() if not line.startswith("./pts")}
    outside = {device["path"].removeprefix("/dev/") for device in host_devices()}
    assert outside
    assert outside <= inside | {"console", "ptmx"}
    plain, _ = await rig.output("sh", "-c", "cd /dev; find . -type c -o -type b")
    assert len(plain.split()) < 10


async def test_a_crun_of_another_version_is_told_to_start(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.runtime._crun, "version", "0.0")
    assert await rig.output("sh", "-c", "echo ran; exit 2") == (b"ran\n", 2)


async def test_starting_twice_or_after_the_end_fails(rig: Rig) -> None:
    key = await rig.run("true")
    await rig.ended(key)
    with pytest.raises(Failed, match="failed to start task for container"):
        await rig.runtime.start(key)


async def test_a_state_folder_on_an_overlay_is_named_with_the_remedy(tmp_path: Path, rig: Rig) -> None:
    """In a container, say: its own root is an overlay, on which no second one can write."""
    for folder in ("u", "w", "m"):
        (tmp_path / folder).mkdir()
    launch = rig.launch("true")

    def below_an_overlay() -> None:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        try:
            mount_overlay(str(tmp_path / "m"), ["/"], str(tmp_path / "u"), str(tmp_path / "w"))
            top = tmp_path / "m/state"
            for folder in ("upper", "work", "root"):
                (top / folder).mkdir(parents=True)
            mount_overlay(str(top / "root"), launch.lower, str(top / "upper"), str(top / "work"))
        finally:
            rig.runtime._wrapper.home()

    with pytest.raises(Unavailable, match="is on an overlay itself: choose a --state-dir"):
        await rig.runtime._wrapper.run(below_an_overlay)


async def test_a_domain_name_and_a_read_only_root(rig: Rig) -> None:
    text, _ = await rig.output(
        "sh",
        "-c",
        "cat /proc/sys/kernel/domainname; touch /usr/x 2>&1 | grep -c Read-only",
        domainname="corp.test",
        host_config=HostConfig(readonly_rootfs=True),
    )
    assert text == b"corp.test\n1\n"


async def test_the_working_folder_is_made_when_it_lacks(rig: Rig) -> None:
    assert await rig.output("pwd", working_dir="/new/folder") == (b"/new/folder\n", 0)


async def test_resolv_conf_may_be_a_link_into_run(rig: Rig, tmp_path: Path) -> None:
    """As systemd-resolved has it; /run is empty in a container, so the link's target is made there."""
    own = tmp_path / "resolv.conf"
    own.write_text("nameserver 127.0.0.11\n")
    launch = rig.launch("sh", "-c", "cat /etc/resolv.conf; readlink /etc/resolv.conf")
    scratch = Path(rig.runtime.paths.upper(launch.id), "etc")
    scratch.mkdir(parents=True)
    (scratch / "resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    launch.spec["mounts"].append(
        {"destination": "/etc/resolv.conf", "type": "bind", "source": str(own), "options": ["rbind", "rprivate"]}
    )
    key = await rig.create(launch)
    client = await rig.runtime.attach(key)
    await rig.runtime.start(key)
    text = b""
    while piece := await client.read():
        text += piece[1]
    assert text == b"nameserver 127.0.0.11\n../run/systemd/resolve/stub-resolv.conf\n"
    await client.close()
