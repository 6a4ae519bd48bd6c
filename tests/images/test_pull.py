"""`docker pull` from a real registry."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from registry import ADDRESS, SLOW, Registry, archive, busybox, layer, on_disk

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, eventually

pytestmark = pytest.mark.usefixtures("left")

BASE, MORE, BIG = busybox(), layer(etc__more=b"more"), layer(big=os.urandom(1_500_000))


class Pull:
    """A pull whose progress is read line by line."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(daemon.socket))
        repository, _, tag = name.rpartition(":")
        self._socket.sendall(
            f"POST /images/create?fromImage={repository}&tag={tag} HTTP/1.1\r\nHost: d\r\n\r\n".encode()
        )
        self._answer = http.client.HTTPResponse(self._socket, method="POST")
        self._answer.begin()

    def lines(self) -> Iterator[dict[str, Any]]:
        for line in self._answer:
            yield json.loads(line)

    def downloading(self) -> None:
        """Until some of a layer has come."""
        for line in self.lines():
            if line.get("progressDetail", {}).get("current", 0) > 1000:
                return
        raise AssertionError("the pull has ended")

    def leave(self) -> None:
        self._answer.close()
        self._socket.close()


def helpers(daemon: Daemon) -> list[str]:
    """Processes that a daemon started for its images."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", entry, "cmdline").read_bytes()
            parent = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if (b"skopeo" in words or b"netloom.images" in words) and int(parent) == daemon.pid:
            found.append(words.decode())
    return found


def test_an_image_is_pulled_run_and_removed(daemon: Daemon, registry: Registry) -> None:
    registry.push("run:1", archive(BASE, MORE, config={"Cmd": ["cat", "/etc/more"], "Env": ["A=b"]}))
    out = daemon.docker("pull", f"{ADDRESS}/run:1")
    assert "Pulling from run" in out
    assert out.count("Pull complete") == 2
    assert f"Status: Downloaded newer image for {ADDRESS}/run:1" in out
    assert daemon.docker("run", "--rm", f"{ADDRESS}/run:1") == "more"
    assert "Image is up to date" in daemon.docker("pull", f"{ADDRESS}/run:1")
    told = json.loads(daemon.docker("image", "inspect", f"{ADDRESS}/run:1"))[0]
    digest = told["RepoDigests"][0]
    assert digest.startswith(f"{ADDRESS}/run@sha256:")
    assert told["Config"]["Env"] == ["A=b"]
    assert [line.split()[0] for line in daemon.docker("rmi", f"{ADDRESS}/run:1").splitlines()] == [
        *("Untagged:", "Untagged:", "Deleted:", "Deleted:", "Deleted:")
    ]
    assert "Downloaded newer image" in daemon.docker("pull", digest)
    daemon.docker("rmi", digest)


def test_layers_that_are_here_are_not_fetched_again(daemon: Daemon, registry: Registry) -> None:
    registry.push("base:1", archive(BASE))
    registry.push("child:1", archive(BASE, MORE))
    daemon.docker("pull", f"{ADDRESS}/base:1")
    out = daemon.docker("pull", f"{ADDRESS}/child:1")
    assert (out.count("Already exists"), out.count("Pull complete")) == (1, 1)
    assert len([one for one in on_disk(daemon) if one.startswith("layers/")]) == 2
    shared = {one["RepoTags"][0]: one["SharedSize"] for one in daemon.json("GET", "/images/json?shared-size=1")}
    size = daemon.json("GET", f"/images/{ADDRESS}/base:1/json")["Size"]
    assert shared[f"{ADDRESS}/base:1"] == shared[f"{ADDRESS}/child:1"] == size
    daemon.docker("rmi", f"{ADDRESS}/base:1", f"{ADDRESS}/child:1")


def test_what_is_not_there(daemon: Daemon, registry: Registry) -> None:
    registry.push("run:1", archive(MORE))
    for name in ("run:77", "nosuch:1"):
        said = daemon.docker("pull", f"{ADDRESS}/{name}", check=False)
        assert f"manifest for {ADDRESS}/{name} not found: manifest unknown: manifest unknown" in said
    said = daemon.docker("pull", "127.0.0.1:1/x", check=False)
    assert 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused' in said


def test_the_platform_is_chosen(daemon: Daemon, registry: Registry, tmp_path: Path) -> None:
    entries = []
    for architecture in ("amd64", "arm64"):
        registry.push(f"multi:{architecture}", archive(layer(arch=architecture.encode()), architecture=architecture))
        raw = _inside(
            registry, "skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{ADDRESS}/multi:{architecture}"
        )
        entries.append((raw, {"architecture": architecture, "os": "linux"}))
    kind = "application/vnd.docker.distribution.manifest"
    index = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.list.v2+json",
        "manifests": [
            {"mediaType": f"{kind}.v2+json", "digest": _digest(raw), "size": len(raw), "platform": platform}
            for raw, platform in entries
        ],
    }
    file = tmp_path / "index.json"
    file.write_text(json.dumps(index))
    script = (
        "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], open(sys.argv[2], 'rb').read(), "
        f"{{'Content-Type': '{index['mediaType']}'}}, method='PUT'))"
    )
    _inside(registry, "python3", "-c", script, f"http://{ADDRESS}/v2/multi/manifests/all", str(file))
    for option, architecture in (((), None), (("--platform", "linux/arm64"), "arm64")):
        daemon.docker("pull", *option, f"{ADDRESS}/multi:all")
        told = json.loads(daemon.docker("image", "inspect", f"{ADDRESS}/multi:all"))[0]
        assert architecture in (None, told["Architecture"])
        assert told["RepoDigests"] == [f"{ADDRESS}/multi@{_digest(file.read_bytes())}"]
        daemon.docker("rmi", told["Id"])
    said = daemon.docker("pull", "--platform", "linux/s390x", f"{ADDRESS}/multi:all", check=False)
    assert "no matching manifest for linux/s390x in the manifest list entries" in said


def test_two_clients_pull_one_image(daemon: Daemon, registry: Registry) -> None:
    registry.push("two:1", archive(BASE, MORE, BIG))
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda _: daemon.docker("pull", f"{ADDRESS}/two:1"), range(4)))
    assert sum(out.count("Pull complete") for out in outputs) == 3
    assert all(f"Digest: {outputs[0].split('Digest: ')[1][:71]}" in out for out in outputs)
    daemon.docker("rmi", f"{ADDRESS}/two:1")


def test_the_registry_dies_in_the_midst_of_a_pull(daemon: Daemon, registry: Registry) -> None:
    registry.push("dies:1", archive(BASE, BIG))
    with registry.stalling(after=1_200_000) as road:
        pull = Pull(daemon, f"{SLOW}/dies:1")
        pull.downloading()
        road.kill()
        last = list(pull.lines())[-1]
    assert "EOF" in last["error"] or "connection re" in last["error"]
    assert last["errorDetail"] == {"message": last["error"]}
    pull.leave()
    eventually(lambda: on_disk(daemon) == [], what="nothing is left")
    assert daemon.docker("images", "-q", f"{SLOW}/dies") == ""
    assert helpers(daemon) == []


def test_a_client_that_goes_away_ends_its_pull(daemon: Daemon, registry: Registry) -> None:
    registry.push("left:1", archive(BASE, BIG))
    with registry.stalling(after=1_200_000):
        pull = Pull(daemon, f"{SLOW}/left:1")
        pull.downloading()
        assert helpers(daemon)
        pull.leave()
        eventually(lambda: not helpers(daemon), what="its processes have ended")
        eventually(lambda: on_disk(daemon) == [], what="nothing is left")


def test_a_daemon_killed_in_the_midst_of_a_pull(daemon: Daemon, registry: Registry) -> None:
    registry.push("killed:1", archive(BASE, BIG))
    with registry.stalling(after=1_200_000):
        Pull(daemon, f"{SLOW}/killed:1").downloading()
        daemon.kill()
        assert on_disk(daemon) != []
        daemon.start()
    assert on_disk(daemon) == []
    assert daemon.docker("images", "-q", f"{SLOW}/killed") == ""


def test_a_registry_that_asks_who(tmp_path: Path) -> None:
    # The password is bar.
    (tmp_path / "htpasswd").write_text("who:$2y$05$c4WoMPo3SXsafkva.HHa6ucn9nk6/X2M/cnuI0wQW60.3SGnC9XLK\n")
    settings = f"auth: {{htpasswd: {{realm: r, path: {tmp_path}/htpasswd}}}}"
    with (
        Host() as alone,
        Registry(alone, tmp_path / "registry", settings) as registry,
        Daemon(alone, tmp_path / "d") as own,
    ):
        registry.push("secret:1", archive(MORE), "--dest-creds=who:bar")
        said = own.docker("pull", f"{ADDRESS}/secret:1", check=False)
        assert (
            "pull access denied for 127.0.0.1:5000/secret, repository does not exist or may require 'docker login'"
            in said
        )
        config = ("--config", str(tmp_path / "config"))
        login = (*config, "login", "-u", "who", "--password-stdin", ADDRESS)
        refused = own.docker_run(*login, stdin="foo")
        assert refused.stderr == (
            "Error response from daemon: "
            "login attempt to http://127.0.0.1:5000/v2/ failed with status: 401 Unauthorized\n"
        )
        own.docker(*config, "pull", f"{ADDRESS}/secret:1", check=False)
        assert on_disk(own) == []
        assert "Login Succeeded" in own.docker_run(*login, stdin="bar").stdout
        assert list(Path("/dev/shm").glob("netloom-login-*")) == []
        own.docker(*config, "pull", f"{ADDRESS}/secret:1")
        assert on_disk(own) != []


def _digest(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _inside(registry: Registry, *argv: str) -> bytes:
    return subprocess.run(registry.command(*argv), capture_output=True, check=True, timeout=30).stdout
