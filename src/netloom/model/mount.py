"""What a container finds mounted: as its user asked for it, and as it was resolved. JSON names are Docker's."""

from __future__ import annotations

from msgspec import Struct, field


class BindOptions(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Of a mount of type `bind`."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeDriverConfig(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Who keeps a volume that is made for a mount, and how."""

    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Of a mount of type `volume`."""

    no_copy: bool = False
    labels: dict[str, str] | None = None
    subpath: str = ""
    driver_config: VolumeDriverConfig | None = None


class ImageOptions(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Of a mount of type `image`."""

    subpath: str = ""


class TmpfsOptions(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Of a mount of type `tmpfs`; `mode` holds the bits as a number."""

    size_bytes: int = 0
    mode: int = 0
    options: tuple[tuple[str, ...], ...] | None = None


class MountRequest(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One entry of HostConfig.Mounts, as it was asked for."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class MountPoint(Struct, frozen=True, kw_only=True):
    """One mount of a container, resolved when it was created; `Mounts` of inspect."""

    type: str = field(name="Type")  # bind, volume, tmpfs
    name: str = field(default="", name="Name")  # of the volume
    source: str = field(default="", name="Source")  # a path of the host; empty for tmpfs
    destination: str = field(name="Destination")
    driver: str = field(default="", name="Driver")
    mode: str = field(default="", name="Mode")  # as written behind the second colon of `-v`
    rw: bool = field(default=True, name="RW")
    propagation: str = field(default="", name="Propagation")
    options: tuple[str, ...] = ()  # of the mount itself, besides ro and propagation: tmpfs sizes, nocopy …
    subpath: str = ""  # of the volume
    copy: bool = False  # an empty volume is filled with what the image has at the destination
    recursive: bool = True  # mounts below the source come along
    owned: bool = False  # an anonymous volume: it goes with its container (`rm -v`, `--rm`)
    create_source: bool = False  # a missing source of a bind is made (`-v`)
