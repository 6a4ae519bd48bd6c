"""kill -9 of the daemon at any moment: afterwards the next daemon's `inspect` and the kernel agree, nothing is left."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, eventually

SLEEP = ["sleep", "1000"]
ON_ETH0 = {"parent": "eth0"}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Host(uplink=True) as host, Daemon(host, tmp_path) as daemon:
        yield daemon


def ask(daemon: Daemon, method: str, path: str, body: object = None) -> int:
    """One request; its status, or 0 when the daemon has died over it."""
    try:
        status, _ = daemon.api(method, path, body)
    except (OSError, ValueError):
        return 0
    return status


def clean(daemon: Daemon) -> None:
    """The checker's findings settle to none: an end that is under way may need a moment."""
    findings: list[str] = []

    def agrees() -> bool:
        findings[:] = check(daemon)
        return not findings

    try:
        eventually(agrees)
    except AssertionError:
        raise AssertionError("\n".join([*findings, daemon.log_tail(3000)])) from None


def empty(daemon: Daemon) -> None:
    """Everything can be removed, and nothing is left then."""
    for container in daemon.json("GET", "/containers/json?all=1"):
        assert ask(daemon, "DELETE", f"/containers/{container['Id']}?force=1&v=1") in (204, 404)
    for network in daemon.json("GET", "/networks"):
        if network["Name"] not in ("bridge", "host", "none"):
            status, text = daemon.api("DELETE", f"/networks/{network['Id']}")
            assert status == 204, text
    named = [volume["Name"] for volume in daemon.json("GET", "/volumes")["Volumes"]]
    assert set(named) <= {"st-volume"}, "a volume of nobody is left"
    for name in named:
        assert ask(daemon, "DELETE", f"/volumes/{name}") == 204
    clean(daemon)
    assert not daemon.json("GET", "/containers/json?all=1")


def story(daemon: Daemon) -> None:
    """A short life: each request may be the daemon's last."""
    ask(daemon, "POST", "/networks/create", {"Name": "st", "IPAM": {"Config": [{"Subnet": "10.90.0.0/24"}]}})
    ask(daemon, "POST", "/networks/create", {"Name": "st2", "Internal": True})
    body = {
        "Image": "host",
        "Cmd": SLEEP,
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/anonymous": {}},
        "HostConfig": {
            "Binds": ["st-volume:/named"],
            "NetworkMode": "st",
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
        },
    }
    ask(daemon, "POST", "/containers/create?name=st-one", body)
    ask(daemon, "POST", "/containers/st-one/start")
    ask(daemon, "POST", "/networks/st2/connect", {"Container": "st-one"})
    ask(daemon, "POST", "/networks/st2/disconnect", {"Container": "st-one"})
    lan = {"Config": [{"Subnet": "198.51.100.0/24", "Gateway": "198.51.100.1", "IPRange": "198.51.100.64/26"}]}
    ask(daemon, "POST", "/networks/create", {"Name": "st3", "Driver": "macvlan", "Options": ON_ETH0, "IPAM": lan})
    ask(daemon, "POST", "/networks/st3/connect", {"Container": "st-one"})
    ask(daemon, "POST", "/networks/st3/disconnect", {"Container": "st-one"})
    ask(daemon, "POST", "/networks/st3/connect", {"Container": "st-one"})
    body = {
        "Image": "host",
        "Cmd": ["sh", "-c", "sleep 0.3; exit 1"],
        "HostConfig": {"NetworkMode": "st", "RestartPolicy": {"Name": "always"}},
    }
    ask(daemon, "POST", "/containers/create?name=st-two", body)
    ask(daemon, "POST", "/containers/st-two/start")
    ask(daemon, "POST", "/containers/st-two/stop")
    ask(daemon, "POST", "/containers/st-one/kill")
    ask(daemon, "DELETE", "/containers/st-one?force=1&v=1")
    ask(daemon, "DELETE", "/containers/st-two?force=1")
    ask(daemon, "DELETE", "/networks/st")
    ask(daemon, "DELETE", "/networks/st2")
    ask(daemon, "DELETE", "/networks/st3")


def points(directory: Path) -> int:
    """How many stop points the story passes."""
    with Host(uplink=True) as host, Daemon(host, directory) as daemon:
        daemon.kill()
        daemon.environment["NETLOOM_STOP_AT"] = "count:1"
        daemon.start()
        story(daemon)
        daemon.stop()
        del daemon.environment["NETLOOM_STOP_AT"]
        return int(daemon.log.read_text().rpartition("stop points passed: ")[2].split()[0])


def test_the_checker_sees_what_is_missing(daemon: Daemon) -> None:
    daemon.docker("network", "create", "see")
    daemon.docker("run", "-d", "--name", "see-one", "--network", "see", "-p", "8080:80", "host", *SLEEP)
    clean(daemon)
    bridge = f"br-{daemon.network('see')['Id'][:12]}"

    def seen(finding: str, *damage: str) -> None:
        """The daemon may repair the damage before the checker looks: then it is done again."""

        def looked() -> bool:
            daemon.host.run(*damage, check=False)
            return finding in check(daemon)

        eventually(looked)

    nft = ("nft", "delete", "element", "inet", "netloom")
    seen("map published4: ('tcp', 8080) is missing", *nft, "published4", "{ tcp . 8080 }")
    seen(f"address: ('{bridge}', '172.18.0.1/16') is missing", "ip", "addr", "flush", "dev", bridge)
    seen("link: ('stranger', '') has no owner", "ip", "link", "add", "stranger", "type", "bridge")
    daemon.host.run("ip", "link", "del", "stranger")
    for folder in ("bundles/stray", "crun/stray"):
        (daemon.run_dir / folder).mkdir()
    (daemon.run_dir / "exits/stray").write_text("0")
    (daemon.state_dir / "containers/stray").mkdir()
    assert {f"{what}: stray has no owner" for what in ("folder", "bundle", "folder of crun", "exit file")} <= {
        *check(daemon)
    }
    seen("set relayed: ('tcp', 8080) is missing", *nft, "relayed", "{ tcp . 8080 }")
    (daemon.state_dir / "containers/stray").rmdir()  # a row stands before its folder is made: none is ever left
    daemon.kill()
    daemon.start()
    clean(daemon)


def test_killed_at_every_step(tmp_path: Path, time_left: Callable[[], bool], seed: int) -> None:
    total = points(tmp_path / "count")
    assert total > 30
    order = list(range(1, total + 1))
    random.Random(seed).shuffle(order)
    tried = 0
    with Host(uplink=True) as host, Daemon(host, tmp_path / "d") as daemon:
        for number in order:
            daemon.stop()
            daemon.environment["NETLOOM_STOP_AT"] = f"any:{number}"
            with contextlib.suppress(AssertionError):  # it may die before it is ready
                daemon.start()
            story(daemon)
            daemon.kill()
            del daemon.environment["NETLOOM_STOP_AT"]
            daemon.start()
            print(f"killed at point {number}")
            clean(daemon)
            empty(daemon)
            tried += 1
            if tried > 5 and not time_left():
                break
    print(f"{tried} of {total} points")


def test_killed_amid_random_operations(tmp_path: Path, time_left: Callable[[], bool], seed: int) -> None:
    dice = random.Random(seed)
    rounds = 0
    with Host(uplink=True) as host, Daemon(host, tmp_path) as daemon:
        while rounds < 20 and time_left():
            workers = [threading.Thread(target=operations, args=(daemon, dice.random(), 50)) for _ in range(4)]
            for worker in workers:
                worker.start()
            delay = threading.Event()
            delay.wait(dice.uniform(0.05, 2.0))  # the moment of death is part of the dice
            daemon.kill()
            for worker in workers:
                worker.join()
            daemon.start()
            clean(daemon)
            for name in (n["Name"] for n in daemon.json("GET", "/networks")):
                for entry in daemon.json("GET", f"/networks/{name}")["Containers"].values():
                    assert daemon.json("GET", f"/containers/{entry['Name']}/json")["State"]["Running"]
            rounds += 1
        empty(daemon)
    assert rounds


def operations(daemon: Daemon, seed: float, count: int) -> None:
    """Random requests; most fail for good reasons, which are not looked at."""
    dice = random.Random(seed)
    for _ in range(count):
        network, container = f"rn{dice.randrange(4)}", f"rc{dice.randrange(6)}"
        choice = dice.randrange(8)
        if choice == 0:
            status = ask(daemon, "POST", "/networks/create", {"Name": network})
        elif choice == 1:
            status = ask(daemon, "DELETE", f"/networks/{network}")
        elif choice in (2, 3):
            body = {"Image": "host", "Cmd": SLEEP, "HostConfig": {"NetworkMode": dice.choice(["bridge", network])}}
            ask(daemon, "POST", f"/containers/create?name={container}", body)
            status = ask(daemon, "POST", f"/containers/{container}/start")
        elif choice == 4:
            status = ask(daemon, "DELETE", f"/containers/{container}?force=1")
        elif choice in (5, 6):
            status = ask(daemon, "POST", f"/networks/{network}/connect", {"Container": container})
        else:
            status = ask(daemon, "POST", f"/networks/{network}/disconnect", {"Container": container})
        if status == 0:
            return


def test_an_end_that_nobody_saw(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "un-one", "-p", "8080:80", "host", *SLEEP)
    pid = daemon.inspect("un-one")["State"]["Pid"]
    daemon.kill()
    daemon.host.run("kill", "-9", str(pid))
    daemon.start()
    eventually(lambda: daemon.inspect("un-one")["State"]["Status"] == "exited")
    state = daemon.inspect("un-one")["State"]
    assert (state["ExitCode"], state["Pid"]) == (137, 0)
    assert json.loads(daemon.docker("network", "inspect", "bridge"))[0]["Containers"] == {}
    clean(daemon)
