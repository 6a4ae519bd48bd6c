"""A registry on a test host's loopback, images pushed into it with skopeo, and a road to it that stalls."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, eventually

PORT, SLOW_PORT = 5000, 5001
ADDRESS = f"127.0.0.1:{PORT}"
SLOW = f"127.0.0.1:{SLOW_PORT}"

# Forwards 127.0.0.1:SLOW_PORT to the registry; of what comes back, so many bytes and then no more.
_STALLING = f"""
import asyncio, sys
left = int(sys.argv[1])
async def copy(reader, writer, counted):
    global left
    while data := await reader.read(4096):
        if counted:
            left -= len(data)
            if left < 0:
                await asyncio.Event().wait()
        writer.write(data)
        await writer.drain()
    writer.close()
async def serve(reader, writer):
    there, back = await asyncio.open_connection("127.0.0.1", {PORT})
    await asyncio.gather(copy(reader, back, False), copy(there, writer, True), return_exceptions=True)
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", {SLOW_PORT}) as server:
        await server.serve_forever()
asyncio.run(main())
"""


def layer(**files: bytes) -> bytes:
    """A tar with these files; `a__b` is `a/b`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def busybox() -> bytes:
    """A layer that runs: /bin/sh and a few of its names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("bin", "tmp", "etc"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        tar.add("/bin/busybox", "bin/busybox")
        for name in ("sh", "cat", "sleep", "ls", "echo", "true", "id", "stat"):
            info = tarfile.TarInfo(f"bin/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
    return out.getvalue()


def archive(*layers: bytes, name: str = "", config: dict[str, Any] | None = None, **fields: Any) -> bytes:
    """What `docker save` makes of an image."""
    digests = [hashlib.sha256(one).hexdigest() for one in layers]
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": config or {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in digests]},
        "history": [{"created_by": f"layer {number}"} for number in range(len(layers))],
        **fields,
    }
    raw = json.dumps(document).encode()
    file = f"{hashlib.sha256(raw).hexdigest()}.json"
    manifest = [
        {"Config": file, "RepoTags": [name] if name else None, "Layers": [f"{one}/layer.tar" for one in digests]}
    ]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        members = {f"{d}/layer.tar": one for d, one in zip(digests, layers, strict=True)}
        for path, data in {**members, file: raw, "manifest.json": json.dumps(manifest).encode()}.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Registry:
    """Debian's docker-registry in a host's namespace."""

    def __init__(self, host: Host, folder: Path, *settings: str) -> None:
        self._host = host
        self._folder = folder
        folder.mkdir()
        text = "\n".join(
            (
                "version: 0.1",
                "log: {level: error}",
                f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}",
                f"http: {{addr: '{ADDRESS}'}}",
                *settings,
            )
        )
        (folder / "config.yml").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Registry:
        self._process = self._inside("docker-registry", "serve", str(self._folder / "config.yml"))
        eventually(lambda: self._listens(PORT), what="the registry listens")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def push(self, name: str, data: bytes, *options: str) -> None:
        """Push an archive under a name."""
        file = self._folder / "push.tar"
        file.write_bytes(data)
        done = self._inside(
            *(
                "skopeo",
                "copy",
                "--dest-tls-verify=false",
                *options,
                f"docker-archive:{file}",
                f"docker://{ADDRESS}/{name}",
            )
        )
        assert done.wait(30) == 0, (self._folder / "log").read_text()

    @contextlib.contextmanager
    def stalling(self, after: int) -> Iterator[subprocess.Popen[bytes]]:
        """A second address of it, over which only so many bytes come."""
        process = self._inside(sys.executable, "-c", _STALLING, str(after))
        try:
            eventually(lambda: self._listens(SLOW_PORT), what="the road to the registry is there")
            yield process
        finally:
            process.kill()
            process.wait()

    def command(self, *argv: str) -> list[str]:
        """A command line that runs in the host's namespace."""
        return ["nsenter", f"--net={self._host.netns_path}", "--", *argv]

    def _inside(self, *argv: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                self.command(*argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _listens(self, port: int) -> bool:
        return f":{port} " in self._host.run("ss", "-ltnH")


def on_disk(daemon: Daemon) -> list[str]:
    """What a daemon has of images: layers, configurations, and what is in the making."""
    folder = daemon.state_dir / "images"
    return sorted(
        f"{one}/{path.name}" for one in ("configs", "layers", "l", "tmp") for path in (folder / one).iterdir()
    )
