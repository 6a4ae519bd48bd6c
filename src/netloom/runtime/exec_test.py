"""Programs started inside running containers."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from netloom.model.container import ExecConfig, HostConfig
from netloom.model.errors import Conflict, Failed, InvalidArgument, NotFound
from netloom.model.streams import STDERR, STDOUT
from netloom.runtime.attach_test import WAIT_FOR_SIZE, drain, read_until
from netloom.runtime.conftest import Rig, until


async def execute(rig: Rig, key: str, *cmd: str, env: Sequence[str] = (), **config: object) -> tuple[bytes, int]:
    """Run to the end: both streams together, and the code."""
    _, attachment = await rig.runtime.exec(key, "e" * 64, ExecConfig(cmd=cmd, **config), env)  # type: ignore[arg-type]
    found = await drain(attachment)
    await attachment.close()
    return found[STDOUT] + found[STDERR], await rig.runtime.exec_wait("e" * 64)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 5", 5), ("kill -9 $$", 137)])
async def test_codes_and_nothing_left(rig: Rig, script: str, code: int) -> None:
    key = await rig.run("sleep", "100")
    assert await execute(rig, key, "sh", "-c", f"echo hi; {script}") == (b"hi\n", code)
    assert os.listdir(rig.runtime.paths.bundle(key) + "/exec") == []
    assert not rig.exits[key].done()


async def test_it_runs_inside(rig: Rig) -> None:
    launch = rig.launch("sleep", "100")
    key = await rig.create(launch)
    await rig.runtime.start(key)
    pid, attachment = await rig.runtime.exec(key, "a" * 64, ExecConfig(cmd=("sh", "-c", "hostname; sleep 100")), ())
    host = launch.spec["hostname"].encode()
    assert await read_until(attachment, b"\n") == host + b"\n"
    for kind in ("net", "pid", "mnt", "uts", "ipc"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    assert pid in await rig.runtime.processes(key, 0)
    await attachment.close()


async def test_the_oom_killer_sees_it_as_it_sees_the_container(rig: Rig) -> None:
    key = await rig.create(rig.launch("sleep", "100", host_config=HostConfig(oom_score_adj=300)))
    await rig.runtime.start(key)
    script = "until read score </proc/self/oom_score_adj; [ $score != 0 ]; do sleep 0.01; done; echo $score"
    assert await execute(rig, key, "sh", "-c", script) == (b"300\n", 0)


async def test_it_ends_with_its_container(rig: Rig) -> None:
    key = await rig.run("sleep", "100")
    _, attachment = await rig.runtime.exec(key, "a" * 64, ExecConfig(cmd=("sleep", "100")), ())
    await rig.runtime.kill(key, 9)
    assert (await rig.ended(key)).code == 137
    assert await rig.runtime.exec_wait("a" * 64) == 137
    assert await drain(attachment) == {STDOUT: b"", STDERR: b""}
    await rig.runtime.delete(key)


async def test_terminal_has_its_size_at_once_and_another_when_asked(rig: Rig) -> None:
    """crun sets the first one beside the program that it has started: on a busy machine a first look may show 0 0."""
    key = await rig.run("sleep", "100")
    sized = 'until [ "$(stty size)" != "0 0" ]; do sleep 0.01; done; stty size'
    config = ExecConfig(
        cmd=("sh", "-c", f"{sized}; {WAIT_FOR_SIZE}; read x; echo got $x"),
        tty=True,
        attach_stdin=True,
        console_size=(33, 99),
    )
    _, attachment = await rig.runtime.exec(key, "a" * 64, config, ())
    await read_until(attachment, b"33 99\r\n")
    await rig.runtime.exec_resize("a" * 64, 44, 88)
    await read_until(attachment, b"resized\r\n")
    await attachment.write(b"it\r")
    assert b"got it\r\n" in (await drain(attachment))[STDOUT]
    assert await rig.runtime.exec_wait("a" * 64) == 0


async def test_half_close(rig: Rig) -> None:
    key = await rig.run("sleep", "100")
    config = ExecConfig(cmd=("sh", "-c", "cat; echo end"), attach_stdin=True)
    _, attachment = await rig.runtime.exec(key, "a" * 64, config, ())
    await attachment.write(b"in\n")
    await attachment.close_stdin()
    assert (await drain(attachment))[STDOUT] == b"in\nend\n"
    assert await rig.runtime.exec_wait("a" * 64) == 0


async def test_user_environment_and_folder(rig: Rig) -> None:
    key = await rig.run("sleep", "100", env=("OWN=1",))
    script = "echo $(id -u):$(id -g) $PWD $HOME $OWN $NEW $TERM."
    text, _ = await execute(
        rig, key, "sh", "-c", script, user="nobody", env=("OWN=1", "PATH=/usr/bin:/bin"), working_dir="/usr"
    )
    assert text == b"65534:65534 /usr /nonexistent 1 .\n"
    text, _ = await execute(rig, key, "sh", "-c", script, user="12:34", env=(), tty=True)
    assert text == b"12:34 / / 1 xterm.\r\n"


async def test_privileged(rig: Rig) -> None:
    key = await rig.run("sleep", "100")
    grep = ("grep", "CapEff", "/proc/self/status")
    plain, _ = await execute(rig, key, *grep)
    every, _ = await execute(rig, key, *grep, privileged=True)
    assert int(plain.split()[1], 16) == 0xA80425FB
    own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
    assert every.split()[1].decode() == own.split()[1]


@pytest.mark.parametrize(
    ("program", "reason", "code"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH', 127),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied', 126),
        ("/etc", 'exec: "/etc": is a directory: permission denied', 126),
        ("/nosuch/x", 'exec: "/nosuch/x": stat /nosuch/x: no such file or directory', 127),
    ],
)
async def test_a_program_that_cannot_run(rig: Rig, program: str, reason: str, code: int) -> None:
    key = await rig.run("sleep", "100")
    with pytest.raises(InvalidArgument) as caught:
        await execute(rig, key, program)
    assert caught.value.sentence == f"OCI runtime exec failed: exec failed: unable to start container process: {reason}"
    assert caught.value.exit_code == code
    assert os.listdir(rig.runtime.paths.bundle(key) + "/exec") == []
    await until(lambda: not [p for p in rig.processes() if "e" * 64 in p], "the end of the exec's conmon")
    assert not rig.exits[key].done()


async def test_an_unknown_user(rig: Rig) -> None:
    key = await rig.run("sleep", "100")
    with pytest.raises(Failed, match="unable to find user nosuch: no matching entries in passwd file"):
        await execute(rig, key, "true", user="nosuch")


async def test_not_running(rig: Rig) -> None:
    with pytest.raises(Conflict):
        await execute(rig, "f" * 64, "true")
    with pytest.raises(NotFound):
        await rig.runtime.exec_wait("f" * 64)
    key = await rig.run("true")
    await rig.ended(key)
    with pytest.raises((Conflict, Failed)):
        await execute(rig, key, "true")


async def test_several_at_once(rig: Rig) -> None:
    key = await rig.run("sleep", "100")

    async def one(number: int) -> tuple[bytes, int]:
        name = f"{number:064x}"
        config = ExecConfig(cmd=("sh", "-c", f"echo {number}; exit {number}"))
        _, attachment = await rig.runtime.exec(key, name, config, ())
        return (await drain(attachment))[STDOUT], await rig.runtime.exec_wait(name)

    assert await asyncio.gather(*(one(n) for n in range(8))) == [(f"{n}\n".encode(), n) for n in range(8)]
