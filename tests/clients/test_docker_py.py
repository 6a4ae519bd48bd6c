"""docker-py (PyPI `docker`), as its users write programs with it."""

from __future__ import annotations

import io
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import docker
import pytest
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from docker.types import Healthcheck, IPAMConfig, IPAMPool, LogConfig, Mount
from docker.utils.socket import demux_adaptor, frames_iter

Client = docker.DockerClient


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid4().hex[:8]}"


@contextmanager
def running(client: Client, image: str, command: Any = ("sleep", "1000"), **options: Any) -> Iterator[Any]:
    container = client.containers.run(image, command, detach=True, **options)
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


@contextmanager
def network(client: Client, **options: Any) -> Iterator[Any]:
    made = client.networks.create(unique("py"), **options)
    try:
        yield made
    finally:
        made.remove()


def stdio(connection: Any) -> socket.socket:
    """The socket below what docker-py hands out."""
    return getattr(connection, "_sock", connection)


# the daemon


def test_the_daemon_tells_what_it_is(client: Client) -> None:
    assert client.ping() is True
    assert client.version()["ApiVersion"] == client.api._version
    info = client.info()
    assert info["OSType"] == "linux"
    assert info["ContainersRunning"] + info["ContainersPaused"] + info["ContainersStopped"] == info["Containers"]


def test_disk_usage(client: Client, image: str) -> None:
    with running(client, image, ["sh", "-c", "echo hello >/tmp/a; echo done; exec sleep 1000"]) as container:
        next(container.logs(stream=True))
        usage = client.df()
        shown = {entry["Id"]: entry for entry in usage["Containers"]}[container.id]
        assert shown["SizeRw"] >= 6
        assert shown["SizeRootFs"] >= shown["SizeRw"]
        assert usage["LayersSize"] > 0
        assert any(image in (entry["RepoTags"] or ()) for entry in usage["Images"])


# networks


def test_networks(client: Client) -> None:
    pools = [
        IPAMPool(
            subnet="10.81.1.0/24", iprange="10.81.1.128/25", gateway="10.81.1.254", aux_addresses={"a": "10.81.1.130"}
        )
    ]
    with network(
        client, driver="bridge", internal=True, labels={"a": "b"}, ipam=IPAMConfig(pool_configs=pools)
    ) as made:
        found = client.networks.get(made.id)
        assert found.attrs["Internal"] is True
        assert found.attrs["IPAM"]["Config"] == [
            {
                "Subnet": "10.81.1.0/24",
                "IPRange": "10.81.1.128/25",
                "Gateway": "10.81.1.254",
                "AuxiliaryAddresses": {"a": "10.81.1.130"},
            }
        ]
        assert [n.id for n in client.networks.list(filters={"label": "a=b"})] == [made.id]
        assert [n.id for n in client.networks.list(names=[made.name])] == [made.id]
        with pytest.raises(APIError) as refused:
            client.networks.create(made.name)
        assert refused.value.status_code == 409
    with pytest.raises(NotFound):
        client.networks.get(made.id)


def test_a_container_comes_to_a_network_and_goes(client: Client, image: str) -> None:
    pools = IPAMConfig(pool_configs=[IPAMPool(subnet="10.81.2.0/24")])
    with network(client, ipam=pools) as made, running(client, image) as container:
        made.connect(container, aliases=["store"], ipv4_address="10.81.2.9")
        container.reload()
        assert container.attrs["NetworkSettings"]["Networks"][made.name]["IPAddress"] == "10.81.2.9"
        assert [c.id for c in client.networks.get(made.id).containers] == [container.id]
        made.disconnect(container)
        container.reload()
        assert made.name not in container.attrs["NetworkSettings"]["Networks"]


def test_a_container_starts_on_a_network_with_everything_said(client: Client, image: str) -> None:
    pools = IPAMConfig(pool_configs=[IPAMPool(subnet="10.81.3.0/24")])
    with network(client, ipam=pools) as made:
        settings = {
            made.name: client.api.create_endpoint_config(
                aliases=["shop"], ipv4_address="10.81.3.7", mac_address="02:42:0a:51:03:07"
            )
        }
        with running(client, image, ["httpd", "-f", "-h", "/www"], network=made.name, networking_config=settings):
            printed = client.containers.run(
                image, ["wget", "-q", "-O", "-", "http://shop/"], network=made.name, remove=True
            )
            assert printed == b"it works\n"


def test_a_published_port(client: Client, image: str, host: Any) -> None:
    ports = {"80/tcp": ("127.0.0.1", None)}
    with running(client, image, ["httpd", "-f", "-h", "/www"], ports=ports) as container:
        container.reload()
        binding = container.ports["80/tcp"][0]
        assert binding["HostIp"] == "127.0.0.1"
        url = f"http://127.0.0.1:{binding['HostPort']}/"
        assert host.run("busybox", "wget", "-q", "-O", "-", url) == "it works\n"


# containers


def test_run_prints_and_tells_failure(client: Client, image: str) -> None:
    assert client.containers.run(image, ["echo", "hello"], remove=True) == b"hello\n"
    assert (
        client.containers.run(image, "sh -c 'echo out; echo err >&2'", remove=True, stderr=True, stdout=False)
        == b"err\n"
    )
    with pytest.raises(ContainerError) as failed:
        client.containers.run(image, ["sh", "-c", "echo no >&2; exit 3"], remove=True)
    assert (failed.value.exit_status, failed.value.stderr) == (3, b"no\n")
    with pytest.raises(ImageNotFound):
        client.api.create_container("no-such-image:1", "true")
    with pytest.raises(APIError, match="executable file not found"):
        client.containers.run(image, ["no-such-program"], name=(name := unique("py")))
    client.containers.get(name).remove()


def test_everything_of_a_container_that_is_asked_for(client: Client, image: str) -> None:
    name = unique("py")
    command = ["sh", "-c", "id -u; pwd; echo $A; hostname; test -w / || echo read-only"]
    printed = client.containers.run(
        image,
        command,
        name=name,
        hostname="here",
        user="65534",
        working_dir="/tmp",
        environment={"A": "b"},
        labels={"x": "y"},
        read_only=True,
        tmpfs={"/scratch": "size=1m"},
        cap_drop=["ALL"],
        extra_hosts={"other": "192.0.2.7"},
        dns=["192.0.2.53"],
        log_config=LogConfig(type=LogConfig.types.JSON),
        mem_limit="64m",
        pids_limit=50,
    )
    try:
        assert printed.decode().split() == ["65534", "/tmp", "b", "here", "read-only"]
        container = client.containers.get(name)
        assert (container.status, container.labels) == ("exited", {"x": "y"})
        assert container.wait()["StatusCode"] == 0
        assert [c.name for c in client.containers.list(all=True, filters={"label": "x=y"})] == [name]
    finally:
        client.containers.get(name).remove()


def test_the_life_of_a_container(client: Client, image: str) -> None:
    container = client.containers.create(
        image, ["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done"], name=unique("py")
    )
    try:
        assert container.status == "created"
        container.start()
        container.reload()
        assert container.status == "running"
        assert "sh" in str(container.top()["Processes"])
        container.pause()
        container.reload()
        assert container.status == "paused"
        container.unpause()
        container.rename(name := unique("py"))
        container.restart(timeout=5)
        container.reload()
        assert (container.status, container.name) == ("running", name)
        container.stop(timeout=5)
        assert container.wait()["StatusCode"] == 5
        container.start()
        container.kill(signal="SIGKILL")
        assert container.wait()["StatusCode"] == 137
    finally:
        container.remove(force=True)
    with pytest.raises(NotFound):
        client.containers.get(container.id)


def test_logs(client: Client, image: str) -> None:
    with running(client, image, ["sh", "-c", "echo one; echo two >&2; cat; echo three"], stdin_open=True) as container:
        stream = container.logs(stream=True, follow=True)
        assert {next(stream), next(stream)} == {b"one\n", b"two\n"}
        connection = container.attach_socket(params={"stdin": 1, "stream": 1})
        stdio(connection).close()
        connection.close()
        container.kill()
        assert list(stream) in ([], [b"three\n"])
        assert container.logs(stdout=True, stderr=False).startswith(b"one\n")
        assert container.logs(stdout=False, stderr=True) == b"two\n"
        lines = container.logs(timestamps=True, tail=1).splitlines()
        assert len(lines) == 1
        assert lines[0].split()[0].endswith(b"Z")
        assert container.logs(since=int(time.time()) + 100) == b""


def test_the_stdio_of_a_container(client: Client, image: str) -> None:
    container = client.containers.create(image, ["sh", "-c", "cat; echo end >&2"], stdin_open=True)
    try:
        connection = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        container.start()
        plain = stdio(connection)
        plain.sendall(b"to and fro\n")
        plain.shutdown(socket.SHUT_WR)
        output = b"", b""
        for kind, piece in frames_iter(connection, tty=False):
            output = (output[0] + piece, output[1]) if kind == 1 else (output[0], output[1] + piece)
        assert output == (b"to and fro\n", b"end\n")
        connection.close()
        assert container.wait()["StatusCode"] == 0
    finally:
        container.remove(force=True)


def test_a_terminal(client: Client, image: str) -> None:
    with running(client, image, ["sh"], stdin_open=True, tty=True) as container:
        container.resize(31, 97)
        connection = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        plain = stdio(connection)
        plain.sendall(b"stty size; exit 4\n")
        printed = b""
        while piece := plain.recv(4096):
            printed += piece
        connection.close()
        assert b"31 97" in printed
        assert container.wait()["StatusCode"] == 4


def test_execs(client: Client, image: str) -> None:
    with running(client, image) as container:
        assert container.exec_run(["sh", "-c", "echo a; exit 7"]) == (7, b"a\n")
        done = container.exec_run(
            ["sh", "-c", "echo out; echo err >&2; id -u; echo $E; pwd"],
            demux=True,
            user="65534",
            environment={"E": "e"},
            workdir="/tmp",
        )
        assert done.output == (b"out\n65534\ne\n/tmp\n", b"err\n")
        assert b"".join(container.exec_run(["sh", "-c", "echo 1; echo 2"], stream=True).output) == b"1\n2\n"
        missing = container.exec_run(["no-such-program"])
        assert missing.exit_code in (126, 127)


def test_the_socket_of_an_exec(client: Client, image: str) -> None:
    with running(client, image) as container:
        key = client.api.exec_create(container.id, ["cat"], stdin=True)["Id"]
        connection = client.api.exec_start(key, socket=True)
        plain = stdio(connection)
        plain.sendall(b"typed\n")
        plain.shutdown(socket.SHUT_WR)
        pieces = [demux_adaptor(*frame) for frame in frames_iter(connection, tty=False)]
        assert b"".join(out for out, _ in pieces if out) == b"typed\n"
        connection.close()
        shown = client.api.exec_inspect(key)
        assert (shown["ExitCode"], shown["Running"]) == (0, False)


def test_an_exec_with_a_terminal(client: Client, image: str) -> None:
    with running(client, image) as container:
        key = client.api.exec_create(container.id, ["sh"], stdin=True, tty=True)["Id"]
        connection = client.api.exec_start(key, socket=True, tty=True)
        client.api.exec_resize(key, height=29, width=91)
        plain = stdio(connection)
        plain.sendall(b"stty size; exit\n")
        printed = b""
        while piece := plain.recv(4096):
            printed += piece
        connection.close()
        assert b"29 91" in printed


def test_a_health_check(client: Client, image: str) -> None:
    check = Healthcheck(test=["CMD", "test", "-e", "/tmp/well"], interval=10**8, timeout=10**9, retries=100)
    with running(client, image, healthcheck=check) as container:
        assert client.containers.get(container.id).health == "starting"
        events = client.events(decode=True, filters={"container": container.id, "event": "health_status"})
        container.exec_run(["touch", "/tmp/well"])
        assert next(iter(events))["status"] == "health_status: healthy"
        events.close()
        assert client.containers.get(container.id).health == "healthy"


def test_archives(client: Client, image: str) -> None:
    with running(client, image) as container:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            entry = tarfile.TarInfo("note")
            entry.size = 5
            tar.addfile(entry, io.BytesIO(b"hello"))
        assert container.put_archive("/tmp", buffer.getvalue()) is True
        assert container.exec_run(["cat", "/tmp/note"]).output == b"hello"
        pieces, facts = container.get_archive("/tmp/note")
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
            member = tar.extractfile("note")
            assert member is not None
            assert member.read() == b"hello"
        assert (facts["name"], facts["size"]) == ("note", 5)
        assert {"Path": "/tmp/note", "Kind": 1} in container.diff()
        with pytest.raises(NotFound):
            container.get_archive("/no/such/file")


def test_statistics(client: Client, image: str) -> None:
    with running(client, image) as container:
        once = container.stats(stream=False)
        assert once["name"] == f"/{container.name}"
        assert once["pids_stats"]["current"] >= 1
        assert once["networks"]["eth0"]["rx_bytes"] >= 0
        stream = container.stats(stream=True, decode=True)
        first, second = next(stream), next(stream)
        stream.close()
        assert first["read"] < second["read"]


def test_limits_are_updated(client: Client, image: str) -> None:
    with running(client, image, mem_limit="64m") as container:
        container.update(
            mem_limit="96m", memswap_limit="96m", restart_policy={"Name": "on-failure", "MaximumRetryCount": 2}
        )
        container.reload()
        assert container.attrs["HostConfig"]["Memory"] == 96 << 20
        assert container.attrs["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}


def test_pruning_containers(client: Client, image: str) -> None:
    container = client.containers.create(image, "true", labels={(label := unique("prune")): ""})
    pruned = client.containers.prune(filters={"label": label})
    assert pruned["ContainersDeleted"] == [container.id]


# volumes


def test_volumes(client: Client, image: str) -> None:
    volume = client.volumes.create(name=unique("py"), labels={"a": "b"})
    try:
        assert client.volumes.get(volume.name).attrs["Labels"] == {"a": "b"}
        mounts = [Mount(target="/data", source=volume.name, type="volume")]
        client.containers.run(image, ["sh", "-c", "echo kept >/data/file"], mounts=mounts, remove=True)
        bound = {volume.name: {"bind": "/data", "mode": "ro"}}
        assert client.containers.run(image, ["cat", "/data/file"], volumes=bound, remove=True) == b"kept\n"
        with running(client, image, volumes=bound):
            with pytest.raises(APIError) as refused:
                volume.remove()
            assert refused.value.status_code == 409
    finally:
        volume.remove()
    assert volume.name not in [found.name for found in client.volumes.list()]


# images


def test_images(client: Client, image: str) -> None:
    found = client.images.get(image)
    assert image in found.tags
    assert found.tag("py", tag="2") is True
    assert [i.id for i in client.images.list(name="py")] == [found.id]
    assert found.history()
    archive = b"".join(client.images.get("py:2").save(named="py:2"))
    client.images.remove("py:2")
    assert client.images.list(name="py") == []
    loaded = client.images.load(archive)
    assert [i.id for i in loaded] == [found.id]
    client.images.remove("py:2")
    with pytest.raises(ImageNotFound):
        client.images.get("py:2")


# events


def test_events_while_they_happen(client: Client, image: str) -> None:
    seen: list[tuple[str, str]] = []
    label = unique("seen")
    stream = client.events(decode=True, filters={"type": "container", "label": label})
    complete = threading.Event()

    def read() -> None:
        for event in stream:
            seen.append((event["Action"], event["Actor"]["Attributes"]["name"]))
            if event["Action"] == "destroy":
                complete.set()
                return

    reader = threading.Thread(target=read)
    reader.start()
    name = unique("py")
    client.containers.run(image, "true", name=name, labels=[label], remove=True)
    assert complete.wait(20)
    reader.join()
    stream.close()
    assert [action for action, _ in seen] == ["create", "start", "die", "destroy"]
    assert {who for _, who in seen} == {name}


def test_events_that_have_been(client: Client, image: str) -> None:
    since = time.time()
    with network(client) as made:
        pass
    events = client.events(since=since, until=time.time() + 0.1, decode=True, filters={"network": made.id})
    assert [event["Action"] for event in events] == ["create", "destroy"]
