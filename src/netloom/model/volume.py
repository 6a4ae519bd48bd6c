"""Named volumes: folders that outlive the containers that use them."""

from __future__ import annotations

from msgspec import Struct

ANONYMOUS = "com.docker.volume.anonymous"  # the label of a volume that nobody gave a name
LOCAL = "local"  # the only driver


class Volume(Struct, frozen=True, kw_only=True):
    """One volume. `labels` and `options` are None where the request had none: inspect shows them so."""

    name: str
    created: int  # ns since the epoch
    mountpoint: str  # the folder of its files on the host
    driver: str = LOCAL
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None  # type, device, o: what to mount, as of mount(8); none for a plain folder

    @property
    def anonymous(self) -> bool:
        """Was it made without a name?"""
        return ANONYMOUS in (self.labels or {})


class VolumeRequest(Struct, frozen=True, kw_only=True):
    """POST /volumes/create, decoded; an empty name asks for one."""

    name: str = ""
    driver: str = LOCAL
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None


class VolumeUsage(Struct, frozen=True):
    """What `system df` tells of a volume: bytes of its files, and how many containers name it."""

    volume: Volume
    size: int
    users: int


class VolumeMount(Struct, frozen=True):
    """A volume in a container that is about to be created: what the runtime does before the container sees it."""

    name: str
    source: str  # its folder on the host
    destination: str  # in the container
    subpath: str = ""
    copy: bool = False  # while it is empty, it gets what the image has at the destination
    options: dict[str, str] | None = None  # of a volume that is a file system of its own
