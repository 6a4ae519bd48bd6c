"""Mounts in the order in which they must be made."""

from __future__ import annotations

from typing import Any

from netloom.containers.mount_specs import with_user_mounts
from netloom.model.container import Container, ContainerConfig
from netloom.model.host_config import HostConfig
from netloom.model.mount import MountPoint

SYSTEM = [{"destination": path, "type": "tmpfs"} for path in ("/proc", "/dev", "/dev/pts", "/dev/shm")]
FILES = [{"destination": f"/etc/{name}", "type": "bind"} for name in ("resolv.conf", "hosts")]


def arranged(*points: MountPoint, tmpfs: dict[str, str] | None = None) -> list[dict[str, Any]]:
    container = Container(
        id="a" * 64,
        name="c",
        created=1,
        image_id="",
        config=ContainerConfig(),
        host_config=HostConfig(tmpfs=tmpfs),
        mounts=points,
    )
    return with_user_mounts(container, SYSTEM, FILES)


def bind(destination: str, **fields: Any) -> MountPoint:
    return MountPoint(type="bind", source="/srv", destination=destination, propagation="rprivate", **fields)


def test_what_lies_deeper_comes_later() -> None:
    found = [m["destination"] for m in arranged(bind("/a/b/c"), bind("/etc"), bind("/a"), bind("/a/b"))]
    assert found == [
        "/proc",
        "/dev",
        "/dev/pts",
        "/dev/shm",
        "/etc",
        "/a",
        "/a/b",
        "/etc/resolv.conf",
        "/etc/hosts",
        "/a/b/c",
    ]


def test_the_user_replaces_ours() -> None:
    found = arranged(bind("/etc/hosts"), tmpfs={"/dev/shm": "size=1m"})
    assert sorted(m["destination"] for m in found) == sorted(
        ["/proc", "/dev", "/dev/pts", "/dev/shm", "/etc/hosts", "/etc/resolv.conf"]
    )
    assert [m["type"] for m in found if m["destination"] == "/etc/hosts"] == ["bind"]
    assert [m["options"] for m in found if m["destination"] == "/dev/shm"] == [["noexec", "nosuid", "nodev", "size=1m"]]


def test_on_dev_nothing_of_ours_stays() -> None:
    assert [m["destination"] for m in arranged(bind("/dev"))][:2] == ["/proc", "/dev"]
    assert "/dev/pts" not in [m["destination"] for m in arranged(bind("/dev"))]


def test_options() -> None:
    shallow = bind("/b", rw=False, options=("ro-non-recursive",))
    volume = MountPoint(type="volume", name="v", source="/v", destination="/c", rw=False)
    found = {
        m["destination"]: m.get("options")
        for m in arranged(bind("/a", rw=False), shallow, volume, bind("/d", recursive=False))
    }
    assert found["/a"] == ["rbind", "rprivate", "rro"]
    assert found["/b"] == ["rbind", "rprivate", "ro"]
    assert found["/c"] == ["rbind", "rprivate", "ro"]
    assert found["/d"] == ["bind", "rprivate"]
    tmpfs = arranged(tmpfs={"/t": "rw,exec,size=1m"})
    assert next(m["options"] for m in tmpfs if m["destination"] == "/t") == ["nosuid", "nodev", "rw", "exec", "size=1m"]
