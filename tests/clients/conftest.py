"""Programs that speak to Docker by its API, against a daemon of the module's own."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from netloom.testing.daemons import Daemon

BUSYBOX = Path("/bin/busybox")  # Debian's busybox-static
APPLETS = "sh cat echo id sleep httpd wget hostname ip true false env pwd stty sed ls dd nc test touch rm".split()


@pytest.fixture(scope="module")
def url(daemon: Daemon) -> str:
    """What DOCKER_HOST would say."""
    return f"unix://{daemon.socket}"


@pytest.fixture(scope="module")
def client(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[docker.DockerClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("config")))
        client = docker.DockerClient(base_url=url, timeout=30)
        yield client
        client.close()


@pytest.fixture(scope="module")
def image(client: docker.DockerClient) -> str:
    """An image of a shell and a few programs, imported."""
    client.api.import_image_from_data(busybox_root(), repository="box", tag="1")
    return "box:1"


def busybox_root() -> bytes:
    """The root of a small image, as a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "root", "www"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        program = tarfile.TarInfo("bin/busybox")
        program.mode, program.size = 0o755, os.stat(BUSYBOX).st_size
        with BUSYBOX.open("rb") as file:
            tar.addfile(program, file)
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        for name, text in (("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("www/index.html", "it works\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()
