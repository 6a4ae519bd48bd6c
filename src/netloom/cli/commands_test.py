"""The commands against a real daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from netloom.testing.daemons import Daemon

pytestmark = pytest.mark.root
Run = Callable[..., subprocess.CompletedProcess[str]]


def out(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.rstrip("\n")


def refused(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    assert done.returncode != 0
    return done.returncode, done.stderr.rstrip("\n")


@pytest.fixture(scope="module")
def web(daemon: Daemon, netloom: Run) -> Iterator[str]:
    """A container `web` on a network `red`; its id."""
    out(netloom("network", "create", "red", "--label", "a=b", "--subnet", "10.91.0.0/24"))
    made = netloom(
        *("run", "-d", "--name", "web", "--network", "red", "-p", "8088:80", "-l", "role=www"),
        *("host", "sh", "-c", "echo one; echo two >&2; exec sleep 1000"),
    )
    yield out(made)
    out(netloom("rm", "-f", "web"))
    assert out(netloom("network", "rm", "red")) == "red"


def test_network_ls_is_dockers(daemon: Daemon, netloom: Run, web: str) -> None:
    for options in ([], ["-q"], ["--no-trunc"], ["-f", "name=re"], ["--format", "{{.Name}} {{.Labels}}"]):
        assert out(netloom("network", "ls", *options)) == daemon.docker("network", "ls", *options)


def test_network_inspect_tells_the_hosts_interface(daemon: Daemon, netloom: Run, web: str) -> None:
    entry = json.loads(out(netloom("network", "inspect", "red")))[0]["Containers"][web]
    assert entry.pop("HostInterface") in daemon.host.run("ip", "-o", "link")
    assert entry.pop("Guard") == "own"
    assert entry == daemon.network("red")["Containers"][web]
    assert out(netloom("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "red")) == "10.91.0.0/24"


def test_network_create_with_every_flag(daemon: Daemon, netloom: Run) -> None:
    made = out(
        netloom(
            *("network", "create", "-d", "bridge", "--subnet", "10.92.0.0/24", "--subnet", "fd00:92::/64", "--ipv6"),
            *("--gateway", "10.92.0.9", "--ip-range", "10.92.0.128/25", "--aux-address", "nas=10.92.0.5"),
            *("--internal", "--attachable", "--label", "x", "-o", "com.docker.network.driver.mtu=1400", "full"),
        )
    )
    network = daemon.network("full")
    assert network["Id"] == made
    assert network["IPAM"]["Config"] == [
        {
            "Subnet": "10.92.0.0/24",
            "IPRange": "10.92.0.128/25",
            "Gateway": "10.92.0.9",
            "AuxiliaryAddresses": {"nas": "10.92.0.5"},
        },
        {"Subnet": "fd00:92::/64"},
    ]
    assert (network["Internal"], network["Attachable"], network["EnableIPv6"]) == (True, True, True)
    assert network["Labels"] == {"x": ""}
    assert out(netloom("network", "rm", "full")) == "full"


def test_connect_and_disconnect(daemon: Daemon, netloom: Run, web: str) -> None:
    out(netloom("network", "create", "blue", "--subnet", "10.93.0.0/24"))
    assert (
        out(netloom("network", "connect", "--ip", "10.93.0.7", "--alias", "w,v", "--gw-priority", "-1", "blue", "web"))
        == ""
    )
    settings = daemon.inspect("web")["NetworkSettings"]["Networks"]["blue"]
    assert (settings["IPAddress"], settings["Aliases"], settings["GwPriority"]) == ("10.93.0.7", ["w", "v"], -1)
    assert out(netloom("network", "disconnect", "blue", "web")) == ""
    assert "blue" not in daemon.inspect("web")["NetworkSettings"]["Networks"]
    assert (
        out(netloom("network", "prune", "--force", "--filter", "label!=keep")) == "Deleted Networks:\nblue\n".rstrip()
    )


def test_prune_asks(daemon: Daemon, netloom: Run) -> None:
    out(netloom("network", "create", "unused"))
    assert netloom("network", "prune", stdin="n\n").returncode == 1
    assert "unused" in out(netloom("network", "ls"))
    assert "Deleted Networks:\nunused" in out(netloom("network", "prune", stdin="y\n"))


def test_ps_is_dockers(daemon: Daemon, netloom: Run, web: str) -> None:
    form = r"table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.Ports}}\t{{.Names}}\t{{.Networks}}\t{{.Labels}}\t{{.State}}"
    for options in (["--format", form], ["-a", "--no-trunc", "--format", form], ["-q"], ["-qf", "name=nobody"]):
        assert out(netloom("ps", *options)) == daemon.docker("ps", *options)
    head, line = out(netloom("ps")).splitlines()
    assert head.split("   ")[0] == "CONTAINER ID"
    assert line.startswith(web[:12])


def test_logs(netloom: Run, web: str) -> None:
    done = netloom("logs", "web")
    assert (done.stdout, done.stderr) == ("one\n", "two\n")
    assert netloom("logs", "-t", "--since", "1h", "web").stdout.endswith("Z one\n")
    assert netloom("logs", "--tail", "0", "web").stdout == ""


def test_exec(netloom: Run, web: str) -> None:
    assert out(netloom("exec", "-e", "A=1", "-w", "/tmp", "web", "sh", "-c", "echo $A; pwd")) == "1\n/tmp"
    assert out(netloom("exec", "-i", "web", "wc", "-c", stdin="abc")) == "3"
    assert netloom("exec", "web", "sh", "-c", "exit 3").returncode == 3
    assert netloom("exec", "web", "nosuch").returncode == 127
    assert netloom("exec", "-d", "web", "true").returncode == 0
    assert refused(netloom("exec", "nope", "true")) == (1, "Error response from daemon: No such container: nope")


def test_run_gives_streams_and_status(netloom: Run) -> None:
    done = netloom("run", "--rm", "host", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert out(netloom("run", "--rm", "-i", "host", "cat", stdin="hello\n" * 5000)) == ("hello\n" * 5000).rstrip()
    assert out(netloom("run", "--rm", "--network", "none", "-e", "A=1", "host", "printenv", "A")) == "1"


def test_a_program_that_writes_much_before_it_reads_much(netloom: Run) -> None:
    """Neither side may wait for the other: what comes is carried while what is sent cannot go."""
    program = "head -c 3000000 /dev/zero | tr '\\0' x; wc -c"
    done = netloom("run", "--rm", "-i", "host", "sh", "-c", program, stdin="y" * 3_000_000)
    assert (done.returncode, done.stdout.lstrip("x").strip(), len(done.stdout) > 3_000_000) == (0, "3000000", True)


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("run", "--rm", "host", "nosuch"), 127, 'exec: "nosuch": executable file not found in $PATH'),
        (("run", "--rm", "host", "/etc"), 126, 'exec: "/etc": is a directory'),
        (("run", "--rm", "--network", "nope", "host", "true"), 125, "network nope not found"),
        (("run", "nosuch:1"), 125, "Unable to find image 'nosuch:1' locally"),
        (("run", "--foo"), 125, "unknown flag: --foo"),
        (("run", "-p", "x", "host"), 125, "netloom: invalid containerPort: x"),
    ],
)
def test_run_that_never_ran(netloom: Run, words: tuple[str, ...], status: int, sentence: str) -> None:
    code, text = refused(netloom(*words))
    assert code == status
    assert sentence in text
    assert text.endswith("Run 'netloom run --help' for more information")


def test_cidfile(netloom: Run, tmp_path: object) -> None:
    path = f"{tmp_path}/cid"
    made = out(netloom("create", "--cidfile", path, "host", "true"))
    with open(path) as file:
        assert file.read() == made
    assert "container ID file found" in refused(netloom("create", "--cidfile", path, "host", "true"))[1]
    assert out(netloom("start", "-a", made)) == ""
    assert out(netloom("rm", made[:12])) == made[:12]


def test_stop_start_kill(netloom: Run) -> None:
    out(netloom("run", "-d", "--name", "brief", "host", "sleep", "1000"))
    assert out(netloom("stop", "-t", "0", "brief")) == "brief"
    assert out(netloom("start", "brief")) == "brief"
    assert out(netloom("kill", "-s", "TERM", "brief")) in ("brief",)
    assert out(netloom("rm", "-f", "brief")) == "brief"


def test_several_go_on_after_a_failure(netloom: Run, web: str) -> None:
    done = netloom("start", "nope", "web")
    assert (done.returncode, done.stdout) == (1, "web\n")
    assert (
        done.stderr == "Error response from daemon: No such container: nope\nError: failed to start containers: nope\n"
    )
    done = netloom("network", "rm", "nope", "nope2")
    assert done.returncode == 1
    assert done.stderr == (
        "Error response from daemon: network nope not found\n"
        "Error response from daemon: network nope2 not found\nexit status 1\n"
    )
    assert netloom("network", "rm", "-f", "nope").returncode == 0
    assert netloom("rm", "-f", "nope").returncode == 0


def test_inspect_finds_whatever_has_the_name(netloom: Run, web: str) -> None:
    assert out(netloom("inspect", "-f", "{{.Id}}", "web")) == web
    assert out(netloom("inspect", "-f", "{{.Driver}}", "red")) == "bridge"
    assert out(netloom("inspect", "--type", "network", "-f", "{{.Name}}", "red")) == "red"
    done = netloom("inspect", "nope", "web", "-f", "{{.Name}}")
    assert (done.returncode, done.stdout, done.stderr) == (1, "/web\n", "Error: No such object: nope\n")
    done = netloom("network", "inspect", "nope")
    assert (done.returncode, done.stdout) == (1, "[]\n")
    done = netloom("inspect", "-f", "{{.Foo}}", "web")
    assert (
        done.stderr
        == 'template parsing error: template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"\n'
    )


def test_events(daemon: Daemon, netloom: Run, web: str) -> None:
    words = ("events", "--since", "1h", "--until", "0s", "-f", "type=network", "-f", "network=red")
    lines = out(netloom(*words)).splitlines()
    assert [line.split()[1:3] for line in lines[:2]] == [["network", "create"], ["network", "connect"]]
    assert lines == daemon.docker(*words).splitlines()
    assert out(netloom(*words, "--format", "{{.Action}} {{.Actor.Attributes.name}}")).splitlines()[0] == "create red"
    assert json.loads(out(netloom(*words, "--format", "json")).splitlines()[0])["Action"] == "create"


def test_version(netloom: Run) -> None:
    assert out(netloom("version", "-f", "{{.Server.ApiVersion}}")) == "1.51"
    assert "Server:\n" in out(netloom("version"))
    assert json.loads(out(netloom("version", "-f", "json")))["Client"]["ApiVersion"] == "1.51"


def test_nobody_there(netloom: Run) -> None:
    for words, status in ((("ps",), 1), (("run", "host"), 125), (("version",), 1)):
        code, text = refused(netloom("-H", "unix:///nonexistent.sock", *words))
        assert code == status
        assert "Cannot connect to the netloom daemon at unix:///nonexistent.sock" in text
    assert "unable to parse docker host" in refused(netloom("-H", "http://x", "ps"))[1]


def test_unknown_commands(netloom: Run) -> None:
    assert refused(netloom("foo"))[1].startswith("netloom: unknown command: netloom foo\n")
    assert refused(netloom("network", "foo"))[1].startswith("netloom: unknown command: netloom network foo\n")
    assert refused(netloom("--foo"))[0] == 125
    for words in ((), ("--help",), ("network",), ("network", "--help"), ("run", "--help"), ("--version",)):
        assert out(netloom(*words))


def test_start_imports_nothing_that_costs_time() -> None:
    """What makes a start slow is what it imports; how long it takes is the bench's to say."""
    code = "import sys; from netloom.cli.main import run; run(['network', 'ls']); print(*sys.modules)"
    environment = {**os.environ, "NETLOOM_HOST": "unix:///nonexistent.sock"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    loaded = set(done.stdout.split())
    assert "netloom.cli.network.ls" in loaded
    assert loaded.isdisjoint({"asyncio", "aiohttp", "msgspec", "http.client", "ssl", "argparse", "uvloop"})
