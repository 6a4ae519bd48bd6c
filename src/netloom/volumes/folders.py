"""Volumes as folders: VOLUMES/NAME has the volume's record and its files in `_data`.

A volume appears by one rename and goes by one, so there is no half of any; what lies between is swept at the start.
The record lies beside the files: they belong together, whatever becomes of the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import msgspec

from netloom.model.errors import Exhausted, Failed
from netloom.model.volume import Volume
from netloom.runtime.sizes import size_of

P = ParamSpec("P")
T = TypeVar("T")

_RECORD = "volume.json"
_DATA = "_data"
_COMING, _GOING = ".coming-", ".going-"  # no volume's name begins with a dot
_decode = msgspec.json.Decoder(Volume).decode


class VolumeFolders:
    """Implements engine.ports.VolumeFolders. All that blocks runs in a thread."""

    def __init__(self, state_dir: str) -> None:
        self._root = os.path.join(os.path.abspath(state_dir), "volumes")

    def mountpoint(self, name: str) -> str:
        """See engine.ports.VolumeFolders."""
        return f"{self._root}/{name}/{_DATA}"

    async def load(self) -> list[Volume]:
        """See engine.ports.VolumeFolders."""
        return await self._told("read", self._load)

    async def create(self, volume: Volume) -> None:
        """See engine.ports.VolumeFolders."""
        await self._told(f"create volume {volume.name} in", self._create, volume)

    async def remove(self, name: str) -> None:
        """See engine.ports.VolumeFolders."""
        await self._told(f"remove volume {name} from", self._remove, name)

    async def size(self, name: str) -> int:
        """See engine.ports.VolumeFolders."""
        return await asyncio.to_thread(size_of, self.mountpoint(name))

    async def exists(self, path: str) -> bool:
        """See engine.ports.VolumeFolders."""
        return await asyncio.to_thread(os.path.lexists, path)

    async def make_source(self, path: str) -> None:
        """See engine.ports.VolumeFolders."""
        try:
            await asyncio.to_thread(os.makedirs, path, 0o755, exist_ok=True)
        except FileExistsError:
            return  # a file, a socket …: it is there
        except OSError as error:
            raise Failed(
                f"error while creating mount source path '{path}': mkdir {path}: {(error.strerror or '').lower()}"
            ) from error

    def _load(self) -> list[Volume]:
        os.makedirs(self._root, mode=0o711, exist_ok=True)
        found = []
        for name in sorted(os.listdir(self._root)):
            if name.startswith((_COMING, _GOING)):
                shutil.rmtree(f"{self._root}/{name}", ignore_errors=True)
                continue
            try:
                with open(f"{self._root}/{name}/{_RECORD}", "rb") as file:
                    volume = _decode(file.read())
            except FileNotFoundError:
                continue  # a stranger's folder: neither ours to show nor to remove
            except msgspec.DecodeError as error:
                raise Failed(f"{self._root}/{name}/{_RECORD} is damaged ({error})") from error
            found.append(msgspec.structs.replace(volume, name=name, mountpoint=self.mountpoint(name)))
        return found

    def _create(self, volume: Volume) -> None:
        coming = f"{self._root}/{_COMING}{volume.name}"
        shutil.rmtree(coming, ignore_errors=True)
        try:
            os.makedirs(f"{coming}/{_DATA}", mode=0o711)
            os.chmod(f"{coming}/{_DATA}", 0o755)
            with open(f"{coming}/{_RECORD}", "wb") as file:
                file.write(msgspec.json.encode(volume))
                file.flush()
                os.fsync(file.fileno())
            os.rename(coming, f"{self._root}/{volume.name}")
        except BaseException:
            shutil.rmtree(coming, ignore_errors=True)
            raise

    def _remove(self, name: str) -> None:
        going = f"{self._root}/{_GOING}{name}"
        shutil.rmtree(going, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{self._root}/{name}", going)
        if os.path.isdir(going):
            shutil.rmtree(going, ignore_errors=True)  # what stays of it is swept at the next start

    async def _told(self, operation: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in a thread, to its end though the caller be cancelled; failures become ours, naming the folder."""
        task = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise
        except OSError as error:
            kind = Exhausted if error.errno in (errno.ENOSPC, errno.EDQUOT) else Failed
            raise kind(f"cannot {operation} {self._root}: {(error.strerror or str(error)).lower()}") from error
