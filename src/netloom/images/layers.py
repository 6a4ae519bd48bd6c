"""Where images lie on disk, and the steps that change it. Blocking: called from one thread of the store's.

    STATE/images/
      index.json            which images there are, and their names; whatever it does not lead to is swept
      configs/HEX           an image's configuration, as it came
      layers/HEX/           one layer, by the digest of its tar: `diff`, `recording`, `spare`, `layer.json`
      l/SHORT               symlink to a layer's `diff`: overlayfs takes one page of options
      tmp/                  what is being made, or thrown away
      empty/                the only layer of an image that has none

Each step is one rename. What it leads to was complete before, so that a kill at any moment leaves either all or
something that the next start sweeps.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
from collections.abc import Collection

import msgspec
from msgspec import Struct

from netloom.images.unpack import Unpacked
from netloom.runtime import syscalls

_ATTEMPTS = 5  # a process of a daemon that was killed may write its last file while it is swept


class Layer(Struct, frozen=True):
    """A layer that is whole."""

    diff_id: str
    size: int  # bytes of its files
    tar_size: int


class ImageEntry(Struct):
    """`kept`: removed, but containers are made of it."""

    tagged: int = 0
    kept: bool = False


class Index(Struct):
    """Images by id; ids by `docker.io/library/web:1` and by `docker.io/library/web@sha256:…`."""

    images: dict[str, ImageEntry] = {}
    tags: dict[str, str] = {}
    digests: dict[str, str] = {}


class Disk:
    """The folder `STATE/images`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._unwritten = False  # are there new layers that a power loss could still take files of?

    def make(self) -> None:
        """Make the folders. Nobody but root looks into layers: they may have set-uid programs and devices."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        for name in ("configs", "layers", "l", "tmp", "empty"):
            os.makedirs(f"{self.folder}/{name}", exist_ok=True)

    def lower(self, diff_id: str) -> str:
        """The path of a layer by which overlayfs is given it."""
        return f"{self.folder}/l/{_short(diff_id)}"

    def layer_folder(self, diff_id: str) -> str:
        """What pack.py is told."""
        return f"{self.folder}/layers/{_hex(diff_id)}"

    def begin(self, folder: str) -> None:
        """Make a temporary folder to unpack into."""
        os.makedirs(f"{folder}/diff", mode=0o755)
        os.chmod(f"{folder}/diff", 0o755)
        os.mkdir(f"{folder}/spare", 0o700)

    def temporary(self) -> str:
        """A path for something that is being made."""
        return f"{self.folder}/tmp/{secrets.token_hex(8)}"

    def commit(self, folder: str, made: Unpacked) -> Layer:
        """An unpacked folder becomes the layer; one that is there already stays."""
        layer = Layer(made.diff_id, made.size, made.tar_size)
        target = self.layer_folder(layer.diff_id)
        if os.path.isdir(target):
            self.discard(folder)
            return layer
        _write(f"{folder}/layer.json", msgspec.json.encode(layer))
        self._link(layer.diff_id)
        os.rename(folder, target)
        self._unwritten = True
        return layer

    def discard(self, path: str) -> None:
        """Remove something in `tmp`. Gone is success."""
        for attempt in range(_ATTEMPTS):
            try:
                shutil.rmtree(path)
            except FileNotFoundError:
                return
            except NotADirectoryError:
                os.unlink(path)
            except OSError:
                if attempt == _ATTEMPTS - 1:
                    raise

    def remove_layer(self, diff_id: str) -> None:
        """Gone is success."""
        trash = self.temporary()
        try:
            os.rename(self.layer_folder(diff_id), trash)
        except FileNotFoundError:
            return
        _unlink(self.lower(diff_id))
        self.discard(trash)

    def config(self, image: str) -> bytes:
        """An image's configuration."""
        with open(f"{self.folder}/configs/{_hex(image)}", "rb") as file:
            return file.read()

    def write_config(self, image: str, raw: bytes) -> None:
        """The index comes after it."""
        self._whole(f"{self.folder}/configs/{_hex(image)}", raw)

    def remove_config(self, image: str) -> None:
        """Gone is success."""
        _unlink(f"{self.folder}/configs/{_hex(image)}")

    def write_index(self, index: bytes) -> None:
        """Everything that it leads to stands, and is on the disk before it."""
        if self._unwritten:
            syscalls.syncfs(self.folder)
            self._unwritten = False
        self._whole(f"{self.folder}/index.json", index, durable=True)

    def load(self) -> tuple[Index, dict[str, Layer]]:
        """What is there."""
        try:
            with open(f"{self.folder}/index.json", "rb") as file:
                index = msgspec.json.decode(file.read(), type=Index)
        except FileNotFoundError:
            index = Index()
        layers = {}
        for name in os.listdir(f"{self.folder}/layers"):
            try:
                with open(f"{self.folder}/layers/{name}/layer.json", "rb") as file:
                    layer = msgspec.json.decode(file.read(), type=Layer)
            except (OSError, msgspec.DecodeError):  # a disk that lost power: it counts as not there
                continue
            if _hex(layer.diff_id) == name:
                layers[layer.diff_id] = layer
        return index, layers

    def sweep(self, images: Collection[str], layers: Collection[str]) -> None:
        """Remove everything but these."""
        for name in os.listdir(f"{self.folder}/tmp"):
            self.discard(f"{self.folder}/tmp/{name}")
        for name in os.listdir(f"{self.folder}/configs"):
            if f"sha256:{name}" not in images:
                _unlink(f"{self.folder}/configs/{name}")
        for name in os.listdir(f"{self.folder}/layers"):
            if f"sha256:{name}" not in layers:
                self.remove_layer(f"sha256:{name}")
        wanted = {_short(one): one for one in layers}
        found = os.listdir(f"{self.folder}/l")
        for name in found:
            if name not in wanted:
                _unlink(f"{self.folder}/l/{name}")
        for name in wanted.keys() - set(found):
            self._link(wanted[name])

    def _link(self, diff_id: str) -> None:
        link = self.temporary()
        os.symlink(f"../layers/{_hex(diff_id)}/diff", link)
        os.rename(link, self.lower(diff_id))

    def _whole(self, path: str, data: bytes, *, durable: bool = False) -> None:
        new = self.temporary()
        try:
            _write(new, data, durable=durable)
            os.rename(new, path)
        except BaseException:
            _unlink(new)
            raise


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _short(digest: str) -> str:
    """26 characters of 128 bits: nobody makes two layers that share them."""
    return base64.b32encode(bytes.fromhex(_hex(digest))[:16]).decode().rstrip("=").lower()


def _write(path: str, data: bytes, *, durable: bool = False) -> None:
    with open(path, "wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
