"""What a mount that is asked for must be: Docker's checks, in its order and words. Whether a source exists is not
asked here."""

from __future__ import annotations

import posixpath

from netloom.containers.bind_specs import PROPAGATIONS
from netloom.model.errors import InvalidArgument, NetloomError, Unsupported
from netloom.model.mount import MountRequest

_TYPES = ("bind", "volume", "tmpfs", "image")
_TMPFS_FLAGS = ("exec", "noexec")

# Words that a tmpfs may be mounted with (tmpfs(5), mount(8)).
_TMPFS_WORDS = frozenset(
    "defaults ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime diratime "
    "nodiratime relatime norelatime strictatime nostrictatime bind rbind private rprivate shared rshared slave rslave "
    "unbindable runbindable".split()
)
_TMPFS_VALUES = frozenset(("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"))


def check_destination(path: str) -> None:
    """An absolute path other than the root."""
    if posixpath.normpath(path) in ("/", "//"):
        raise InvalidArgument("invalid specification: destination can't be '/'")
    _check_absolute(path)


def check_mount(mount: MountRequest) -> None:
    """Raise InvalidArgument as Docker does; Unsupported for what netloom would have to ignore."""
    try:
        _check(mount)
    except NetloomError as error:
        told = f'invalid mount config for type "{mount.type}": {error.sentence}'
        raise type(error)(told, remedy=error.remedy) from None


def check_own_options(mount: MountRequest) -> None:
    """Options belong to one type each."""
    given = (
        ("BindOptions", "bind", mount.bind_options),
        ("VolumeOptions", "volume", mount.volume_options),
        ("ImageOptions", "image", mount.image_options),
        ("TmpfsOptions", "tmpfs", mount.tmpfs_options),
    )
    for field, kind, options in given:
        if options is not None and mount.type in _TYPES and mount.type != kind:
            raise InvalidArgument(f'{field} must not be specified on mount type "{mount.type}"')


def check_tmpfs_options(text: str) -> None:
    """Of `--tmpfs`. Raises InvalidArgument for the first word that no tmpfs has."""
    for word in filter(None, text.split(",")):
        name, has_value, _ = word.partition("=")
        if name not in (_TMPFS_VALUES if has_value else _TMPFS_WORDS):
            raise InvalidArgument(f'invalid tmpfs option "{word}"')


def _check(mount: MountRequest) -> None:
    if mount.type not in _TYPES:
        raise InvalidArgument("mount type unknown")
    if not mount.target:
        raise InvalidArgument("field Target must not be empty")
    check_destination(mount.target)
    match mount.type:
        case "bind":
            _check_bind(mount)
        case "volume":
            _check_volume(mount)
        case "tmpfs":
            _check_tmpfs(mount)
        case _:
            if not mount.source:
                raise InvalidArgument("field Source must not be empty")
            raise Unsupported("mounting images is not supported by netloom yet", remedy="copy them into a volume")


def _check_bind(mount: MountRequest) -> None:
    if not mount.source:
        raise InvalidArgument("field Source must not be empty")
    if mount.volume_options is not None:
        raise InvalidArgument("field VolumeOptions must not be specified")
    propagation = mount.bind_options.propagation if mount.bind_options else ""
    if propagation and propagation not in PROPAGATIONS:
        raise InvalidArgument(f"invalid propagation mode: {propagation}")
    _check_absolute(mount.source)
    if propagation in ("shared", "rshared"):
        raise Unsupported(
            f"propagation mode {propagation} is not supported by netloom: mounts of a container stay its own",
            remedy="use rslave to see the host's later mounts",
        )


def _check_volume(mount: MountRequest) -> None:
    if mount.bind_options is not None:
        raise InvalidArgument("field BindOptions must not be specified")
    options = mount.volume_options
    if not mount.source:
        if options and options.subpath:
            raise InvalidArgument("must not set Subpath when using anonymous volumes")
        if mount.read_only:
            raise InvalidArgument("must not set ReadOnly mode when using anonymous volumes")
    if options and options.subpath and not _local(options.subpath):
        raise InvalidArgument("subpath must be a relative path within the volume")


def _check_tmpfs(mount: MountRequest) -> None:
    if mount.source:
        raise InvalidArgument("field Source must not be specified")
    for option in (mount.tmpfs_options.options if mount.tmpfs_options else None) or ():
        if len(option) not in (1, 2):
            raise InvalidArgument("invalid option array length")
        if len(option) == 2 or option[0] not in _TMPFS_FLAGS:
            raise InvalidArgument(f"invalid option: {option[0]}")


def _check_absolute(path: str) -> None:
    if not path.startswith("/"):
        raise InvalidArgument(f"invalid mount path: '{path}' mount path must be absolute")


def _local(path: str) -> bool:
    clean = posixpath.normpath(path)
    return not clean.startswith("/") and clean != ".." and not clean.startswith("../")
