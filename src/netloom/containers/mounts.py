"""What a create request asks to be mounted, resolved: `-v`, `--mount`, `--volumes-from`, and volumes of the image."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct

from netloom.containers.bind_specs import parse_bind, parse_volumes_from, read_only
from netloom.containers.mount_checks import check_destination, check_mount, check_own_options, check_tmpfs_options
from netloom.containers.volume_options import check_driver, check_name, check_options
from netloom.model.container import ContainerConfig
from netloom.model.errors import InvalidArgument, NetloomError
from netloom.model.host_config import HostConfig
from netloom.model.mount import MountPoint, MountRequest
from netloom.model.volume import LOCAL, VolumeRequest

FindMounts = Callable[[str], Sequence[MountPoint]]  # those of another container; raises InvalidArgument


class Wanted(Struct, frozen=True):
    """One mount, and the volume that it needs, made where it is not there; nothing for other kinds."""

    point: MountPoint
    volume: VolumeRequest | None = None


def check_mounts(host_config: HostConfig) -> None:
    """All that can be told wrong without looking at anything. Raises InvalidArgument or Unsupported."""
    for request in host_config.mounts or ():
        check_own_options(request)
        check_mount(request)
    for destination, options in (host_config.tmpfs or {}).items():
        check_destination(destination)
        check_tmpfs_options(options)


def wanted_mounts(
    config: ContainerConfig, host_config: HostConfig, find_mounts: FindMounts, new_name: Callable[[], str]
) -> list[Wanted]:
    """Mounts by destination; a later kind takes a destination over from `--volumes-from`, and from no other.

    `new_name` names anonymous volumes. Raises InvalidArgument with Docker's sentence.
    """
    found: dict[str, Wanted] = {}
    for text in host_config.volumes_from or ():
        name, mode = parse_volumes_from(text)
        for point in find_mounts(name):
            found[point.destination] = Wanted(_taken_over(point, mode))
    asked: set[str] = set()
    for request, written, default_driver in _requests(host_config):
        wanted = _wanted(request, written, default_driver, new_name)
        destination = wanted.point.destination
        if destination in asked or (written is not None and destination in (host_config.tmpfs or {})):
            raise InvalidArgument(f"Duplicate mount point: {destination}")
        asked.add(destination)
        found[destination] = wanted
    taken = {*found, *map(posixpath.normpath, host_config.tmpfs or {})}
    for text in config.volumes or {}:
        destination = posixpath.normpath(text)
        if destination not in taken:
            check_destination(destination)
            taken.add(destination)
            found[destination] = _anonymous(destination, host_config.volume_driver, new_name)
    return list(found.values())


def _requests(host_config: HostConfig) -> Iterable[tuple[MountRequest, str | None, str]]:
    """(request, mode or None for `--mount`, driver of volumes that name none)."""
    for text in host_config.binds or ():
        spec = parse_bind(text)
        try:
            check_mount(spec.request)
        except NetloomError as error:
            told = f"invalid volume specification: '{text}': {error.sentence}"
            raise type(error)(told, remedy=error.remedy) from None
        yield spec.request, spec.mode, host_config.volume_driver
    for request in host_config.mounts or ():
        yield request, None, ""


def _wanted(request: MountRequest, mode: str | None, driver: str, new_name: Callable[[], str]) -> Wanted:
    destination = posixpath.normpath(request.target)
    match request.type:
        case "bind":
            return Wanted(_bind(request, destination, mode))
        case "tmpfs":
            point = MountPoint(
                type="tmpfs", destination=destination, rw=not request.read_only, options=_tmpfs_words(request)
            )
            return Wanted(point)
        case _:
            return _volume(request, destination, mode, driver, new_name)


def _bind(request: MountRequest, destination: str, mode: str | None) -> MountPoint:
    options = request.bind_options
    return MountPoint(
        type="bind",
        source=posixpath.normpath(request.source),
        destination=destination,
        mode=mode or "",
        rw=not request.read_only,
        propagation=(options.propagation if options else "") or "rprivate",
        recursive=not (options and options.non_recursive),
        options=("ro-non-recursive",) if options and options.read_only_non_recursive else (),
        create_source=mode is not None or bool(options and options.create_mountpoint),
    )


def _volume(
    request: MountRequest, destination: str, mode: str | None, driver: str, new_name: Callable[[], str]
) -> Wanted:
    options = request.volume_options
    given = options.driver_config if options else None
    driver = (given.name if given else "") or driver or LOCAL
    name = request.source or new_name()
    volume = VolumeRequest(
        name=name,
        driver=driver,
        labels=(options.labels if options else None) or None,
        options=(given.options if given else None) or None,
    )
    check_driver(name, driver)
    check_name(name)
    check_options(name, volume.options)
    point = MountPoint(
        type="volume",
        name=name,
        destination=destination,
        driver=driver,
        mode=mode or "z",
        rw=not request.read_only,
        subpath=options.subpath if options else "",
        copy=not (options and options.no_copy),
        owned=not request.source,
    )
    return Wanted(point, volume)


def _anonymous(destination: str, driver: str, new_name: Callable[[], str]) -> Wanted:
    name = new_name()
    check_driver(name, driver)
    point = MountPoint(type="volume", name=name, destination=destination, driver=LOCAL, copy=True, owned=True)
    return Wanted(point, VolumeRequest(name=name))


def _taken_over(point: MountPoint, mode: str) -> MountPoint:
    """As the other container has it; it stays that container's own, and is as full as that one has made it."""
    return msgspec.structs.replace(point, mode="", rw=point.rw and not read_only(mode), copy=False, owned=False)


def _tmpfs_words(request: MountRequest) -> tuple[str, ...]:
    options = request.tmpfs_options
    if options is None:
        return ()
    words = [option[0] for option in options.options or ()]
    if options.mode:
        words.append(f"mode={options.mode:o}")
    if options.size_bytes:
        words.append(f"size={options.size_bytes}")
    return tuple(words)
