"""Images from and to files, their names and their removal, with the docker CLI."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from registry import archive, busybox, layer, on_disk

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import eventually

pytestmark = pytest.mark.usefixtures("left")

BASE, MORE = busybox(), layer(etc__more=b"more")


def load(daemon: Daemon, data: bytes, *options: str) -> str:
    done = subprocess.run(daemon.command("load", *options), input=data, capture_output=True, check=False, timeout=60)
    return (done.stdout + done.stderr).decode()


@pytest.fixture
def image(daemon: Daemon) -> Iterator[str]:
    """An image of two layers, that is gone afterwards."""
    load(daemon, archive(BASE, MORE, name="ar:1"))
    yield "ar:1"
    daemon.docker("rmi", "-f", "ar:1", check=False)


def test_import_with_changes(daemon: Daemon, tmp_path: Path) -> None:
    file = tmp_path / "root.tar.gz"
    file.write_bytes(gzip.compress(BASE))
    changes = ("-c", 'CMD ["echo", "by default"]', "-c", "ENV A=b", "-c", "WORKDIR /tmp", "-m", "why")
    key = daemon.docker("import", *changes, str(file), "im:1")
    assert daemon.docker("run", "--rm", "im:1") == "by default"
    assert daemon.docker("run", "--rm", "im:1", "sh", "-c", "echo $A $PWD") == "b /tmp"
    told = json.loads(daemon.docker("image", "inspect", "im:1"))[0]
    assert (told["Id"], told["Comment"], told["RepoTags"]) == (key, "why", ["im:1"])
    assert "RUN is not a valid change command" in daemon.docker("import", "-c", "RUN x", str(file), check=False)
    daemon.docker("rmi", "im:1")


def test_saved_and_loaded_it_is_the_same(daemon: Daemon, image: str, tmp_path: Path) -> None:
    before = json.loads(daemon.docker("image", "inspect", image))[0]
    file = tmp_path / "saved.tar"
    daemon.docker("tag", image, "ar:2")
    daemon.docker("save", "-o", str(file), "ar")
    first = file.read_bytes()
    with tarfile.open(file) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert manifest[0]["RepoTags"] == ["ar:1", "ar:2"]
        layers = [tar.extractfile(name).read() for name in manifest[0]["Layers"]]  # type: ignore[union-attr]
    assert layers == [BASE, MORE]
    daemon.docker("rmi", "ar:1", "ar:2")
    assert on_disk(daemon) == []
    assert load(daemon, gzip.compress(first)).splitlines()[-2:] == ["Loaded image: ar:1", "Loaded image: ar:2"]
    after = json.loads(daemon.docker("image", "inspect", image))[0]
    assert {**before, "Metadata": 0, "RepoTags": 0} == {**after, "Metadata": 0, "RepoTags": 0}
    daemon.docker("save", "-o", str(file), "ar")
    assert file.read_bytes() == first
    daemon.docker("rmi", "ar:2")


def test_an_oci_layout(daemon: Daemon, image: str, tmp_path: Path) -> None:
    """As skopeo writes it: compressed layers, no manifest.json."""
    daemon.docker("save", "-o", str(tmp_path / "saved.tar"), image)
    target = tmp_path / "oci.tar"
    command = ["skopeo", "copy", f"docker-archive:{tmp_path}/saved.tar", f"oci-archive:{target}:oci-named:7"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert "Loaded image: oci-named:7" in load(daemon, target.read_bytes())
    assert daemon.docker("run", "--rm", "oci-named:7", "cat", "/etc/more") == "more"
    daemon.docker("rmi", "oci-named:7")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"junk", "unexpected EOF"),
        (layer(file=b"x"), "neither manifest.json nor index.json"),
        (archive(BASE, name="host:latest"), "the name 'host' is reserved"),
        (archive(BASE, name="Up:1"), "must be lowercase"),
        (archive(layer(a=b"1"), rootfs={"type": "layers", "diff_ids": [f"sha256:{'0' * 64}"]}), "wrong diff id"),
        (archive(layer(a=b"1"), rootfs={"type": "layers", "diff_ids": ["sha256:../../x"]}), "is no sha256"),
        (archive(layer(a=b"1"), rootfs={"type": "layers", "diff_ids": []}), "1 layers, but 0 diff ids"),
        (archive(b"not a tar, but as long as a block of one" * 20), "invalid header"),
    ],
)
def test_what_is_no_archive_leaves_nothing(daemon: Daemon, data: bytes, said: str) -> None:
    assert said in load(daemon, data)
    assert on_disk(daemon) == []


def test_a_layer_cannot_write_outside(daemon: Daemon, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        file = tarfile.TarInfo("out/file")
        tar.addfile(file)
    assert "exists" in load(daemon, archive(out.getvalue(), name="evil:1"))  # the link leads nowhere in the layer
    assert os.listdir(tmp_path) == []


def test_names(daemon: Daemon, image: str) -> None:
    daemon.docker("tag", image, "reg.test/other:x")
    assert (
        daemon.docker("images", "--format", "{{.Repository}}:{{.Tag}}", "-f", "reference=reg.test/*")
        == "reg.test/other:x"
    )
    assert daemon.docker("rmi", "reg.test/other:x") == "Untagged: reg.test/other:x"
    for words, said in (
        (("tag", "nosuch", "x"), "No such image: nosuch:latest"),
        (("tag", image, "host"), "the name 'host' is reserved"),
        (("tag", "host", "x"), "has no other name"),
        (("rmi", "host"), "cannot be removed"),
        (("rmi", "nosuch"), "No such image: nosuch:latest"),
        (("save", "host"), "cannot be saved"),
        (("build", "-"), "docker load"),
    ):
        assert said in daemon.docker(*words, check=False)


def test_an_image_that_is_used(daemon: Daemon, image: str) -> None:
    running = daemon.docker("run", "-d", "--name", "ar-run", image, "sleep", "600")[:12]
    key = daemon.inspect("ar-run")["Image"]
    short = key.removeprefix("sha256:")[:12]
    said = daemon.docker("rmi", image, check=False)
    assert said.endswith(
        f'conflict: unable to remove repository reference "{image}" (must force) - '
        f"container {running} is using its referenced image {short}"
    )
    said = daemon.docker("rmi", "-f", short, check=False)
    assert said.endswith(
        f"conflict: unable to delete {short} (cannot be forced) - image is being used by running container {running}"
    )
    assert daemon.docker("image", "prune", "-af").endswith("Total reclaimed space: 0B")
    daemon.docker("rm", "-f", "ar-run")


def test_a_container_keeps_its_layers_and_not_its_name(daemon: Daemon, image: str) -> None:
    daemon.docker("create", "--name", "ar-kept", image, "cat", "/etc/more")
    daemon.docker("rmi", "-f", image)
    listed = daemon.docker("ps", "-a", "--filter", "name=ar-kept", "--format", "{{.Image}}")
    assert listed == daemon.inspect("ar-kept")["Image"].removeprefix("sha256:")[:12]
    load(daemon, archive(BASE, layer(etc__more=b"something else"), name=image))
    assert daemon.docker("start", "-a", "ar-kept") == "more"
    daemon.kill()
    daemon.start()
    assert daemon.docker("start", "-a", "ar-kept") == "more"
    daemon.docker("rm", "ar-kept")
    assert len([one for one in on_disk(daemon) if one.startswith("layers/")]) == 2
    assert check(daemon) == []


def test_prune(daemon: Daemon, image: str) -> None:
    load(daemon, archive(BASE, name=image))
    assert daemon.docker("images", "-qf", "dangling=true") != ""
    out = daemon.docker("image", "prune", "-f")
    assert out.count("deleted: sha256:") == 2
    assert out.endswith("Total reclaimed space: 4B")
    assert "untagged: ar:1" in daemon.docker("image", "prune", "-af")


def test_events(daemon: Daemon, image: str, tmp_path: Path) -> None:
    since = daemon.docker("info", "--format", "{{.SystemTime}}")
    daemon.docker("tag", image, "ar:ev")
    daemon.docker("save", "-o", str(tmp_path / "x.tar"), image)
    daemon.docker("rmi", "ar:ev", image)
    load(daemon, archive(BASE, MORE, name=image))
    until = daemon.docker("info", "--format", "{{.SystemTime}}")
    lines = daemon.docker("events", "--since", since, "--until", until, "--format", "{{json .}}").splitlines()
    assert [json.loads(line)["Action"] for line in lines] == ["tag", "save", "untag", "untag", "delete", "load"]
    assert json.loads(lines[0])["Actor"]["Attributes"] == {"name": "ar:ev"}
    assert json.loads(lines[0])["status"] == "tag"


def test_many_layers(daemon: Daemon) -> None:
    layers = [layer(**{f"f{number}": b"%d" % number}) for number in range(120)]
    load(daemon, archive(BASE, *layers, name="deep:1"))
    assert daemon.docker("run", "--rm", "deep:1", "cat", "/f0", "/f119") == "0119"
    daemon.docker("rmi", "deep:1")


def test_sizes_and_history(daemon: Daemon, image: str) -> None:
    assert daemon.docker("history", "--format", "{{.CreatedBy}} {{.Size}}", image).splitlines()[0] == "layer 1 4B"
    size = os.path.getsize("/bin/busybox") + sum(len("busybox") for _ in range(8)) + 4
    assert json.loads(daemon.docker("image", "inspect", image))[0]["Size"] == size


def test_a_killed_load_leaves_nothing(daemon: Daemon) -> None:
    data = archive(BASE, layer(big=os.urandom(3_000_000)), name="killed:1")
    process = subprocess.Popen(
        daemon.command("load"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    process.stdin.write(data[: len(data) // 2])
    process.stdin.flush()
    eventually(lambda: on_disk(daemon) != [], what="it is taken in")
    daemon.kill()
    process.kill()
    process.wait()
    process.stdin.close()
    daemon.start()
    assert on_disk(daemon) == []
