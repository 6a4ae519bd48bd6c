"""Mounts asked for: results and sentences as Docker 28.5 gave them."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from netloom.containers.mounts import check_mounts, wanted_mounts
from netloom.model.container import ContainerConfig
from netloom.model.errors import InvalidArgument, NetloomError, NotFound, Unsupported
from netloom.model.host_config import HostConfig
from netloom.model.mount import MountPoint, MountRequest


def others(ref: str) -> list[MountPoint]:
    """The mounts of a container named `src`."""
    if ref != "src":
        raise InvalidArgument(f"No such container: {ref}")
    return [
        MountPoint(type="bind", source="/srv", destination="/s", mode="z", propagation="rprivate"),
        MountPoint(type="volume", name="va", destination="/v", driver="local", mode="z", copy=True, owned=True),
        MountPoint(type="bind", source="/srv", destination="/mb", rw=False, propagation="rprivate"),
    ]


def resolve(volumes: dict[str, dict[str, Any]] | None = None, **host: Any) -> list[MountPoint]:
    host_config = msgspec.convert(host, HostConfig)
    check_mounts(host_config)
    names = (f"anon{number}" for number in itertools.count())
    found = wanted_mounts(ContainerConfig(volumes=volumes), host_config, others, lambda: next(names))
    return [wanted.point for wanted in found]


def test_binds_as_inspect_shows_them() -> None:
    shown = {
        "/srv:/a": ("bind", "", "/srv", "/a", "", True, "rprivate"),
        "/srv:/a:ro": ("bind", "", "/srv", "/a", "ro", False, "rprivate"),
        "/srv:/a:ro,rslave,z": ("bind", "", "/srv", "/a", "ro,rslave,z", False, "rslave"),
        "/srv:/a:cached": ("bind", "", "/srv", "/a", "cached", True, "rprivate"),
        "/srv:/a:": ("bind", "", "/srv", "/a", "", True, "rprivate"),
        "/srv/x/../y/:/a/../b": ("bind", "", "/srv/y", "/b", "", True, "rprivate"),
        "vola:/a": ("volume", "vola", "", "/a", "z", True, ""),
        "vola:/a/": ("volume", "vola", "", "/a", "z", True, ""),
        "vola:/a:nocopy": ("volume", "vola", "", "/a", "nocopy", True, ""),
        "vola:/a:ro": ("volume", "vola", "", "/a", "ro", False, ""),
        "vv:/a:cached": ("volume", "vv", "", "/a", "cached", True, ""),
        "/a": ("volume", "anon0", "", "/a", "z", True, ""),
    }
    for text, wanted in shown.items():
        (point,) = resolve(Binds=[text])
        found = (point.type, point.name, point.source, point.destination, point.mode, point.rw, point.propagation)
        assert found == wanted, text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "invalid volume specification: ''"),
        (":/a", "invalid volume specification: ':/a'"),
        ("x:", "invalid volume specification: 'x:'"),
        ("/a:ro", "invalid volume specification: '/a:ro'"),
        ("/srv:/a:b:c", "invalid volume specification: '/srv:/a:b:c'"),
        ("/srv:/a:RO", "invalid mode: RO"),
        ("/srv:/a:ro,rw", "invalid mode: ro,rw"),
        ("/srv:/a:ro,z,Z", "invalid mode: ro,z,Z"),
        ("/srv:/a:shared,slave", "invalid mode: shared,slave"),
        ("/srv:/a:cached,delegated", "invalid mode: cached,delegated"),
        ("/srv:/a:nocopy,nocopy", "invalid mode: nocopy,nocopy"),
        ("/srv:/a:,", "invalid mode: ,"),
        ("vv:/a:ro-non-recursive", "invalid mode: ro-non-recursive"),
        (
            "/srv:a",
            (
                "invalid volume specification: '/srv:a': invalid mount config for type \"bind\": "
                "invalid mount path: 'a' mount path must be absolute"
            ),
        ),
        (
            "/srv:/a/../..",
            (
                "invalid volume specification: '/srv:/a/../..': invalid mount config for type \"bind\": "
                "invalid specification: destination can't be '/'"
            ),
        ),
        (
            "/srv:/a:nocopy",
            (
                "invalid volume specification: '/srv:/a:nocopy': invalid mount config for type \"bind\": "
                "field VolumeOptions must not be specified"
            ),
        ),
        (
            "vola:/a:rslave",
            (
                "invalid volume specification: 'vola:/a:rslave': invalid mount config for type \"volume\": "
                "field BindOptions must not be specified"
            ),
        ),
        (
            "volx/y:/a",
            (
                'create volx/y: "volx/y" includes invalid characters for a local volume name, only '
                '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
            ),
        ),
        ("v:/a", "create v: volume name is too short, names should be at least two alphanumeric characters"),
    ],
)
def test_sentences_of_binds(text: str, sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        resolve(Binds=[text])
    assert caught.value.sentence == sentence


BIND = {"Type": "bind", "Source": "/srv", "Target": "/a"}
VOLUME = {"Type": "volume", "Source": "vola", "Target": "/a"}


@pytest.mark.parametrize(
    ("mount", "sentence"),
    [
        ({"Type": "foo", "Target": "/a"}, 'invalid mount config for type "foo": mount type unknown'),
        ({"Target": "/a"}, 'invalid mount config for type "": mount type unknown'),
        (BIND | {"Target": ""}, 'invalid mount config for type "bind": field Target must not be empty'),
        (
            BIND | {"Target": "rel"},
            "invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute",
        ),
        (
            BIND | {"Target": "/"},
            "invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
        ),
        (BIND | {"Source": ""}, 'invalid mount config for type "bind": field Source must not be empty'),
        (
            BIND | {"Source": "rel"},
            "invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute",
        ),
        (
            BIND | {"BindOptions": {"Propagation": "foo"}},
            'invalid mount config for type "bind": invalid propagation mode: foo',
        ),
        (BIND | {"VolumeOptions": {}}, 'VolumeOptions must not be specified on mount type "bind"'),
        (VOLUME | {"BindOptions": {}}, 'BindOptions must not be specified on mount type "volume"'),
        (VOLUME | {"TmpfsOptions": {}}, 'TmpfsOptions must not be specified on mount type "volume"'),
        (
            VOLUME | {"VolumeOptions": {"Subpath": "../x"}},
            'invalid mount config for type "volume": subpath must be a relative path within the volume',
        ),
        (
            VOLUME | {"Source": "", "VolumeOptions": {"Subpath": "x"}},
            'invalid mount config for type "volume": must not set Subpath when using anonymous volumes',
        ),
        (
            VOLUME | {"VolumeOptions": {"DriverConfig": {"Options": {"foo": "x"}}}},
            'create vola: invalid option: "foo"',
        ),
        (
            {"Type": "tmpfs", "Source": "x", "Target": "/a"},
            'invalid mount config for type "tmpfs": field Source must not be specified',
        ),
        (
            {"Type": "tmpfs", "Target": "/a", "TmpfsOptions": {"Options": [["uid", "5"]]}},
            'invalid mount config for type "tmpfs": invalid option: uid',
        ),
        (
            {"Type": "tmpfs", "Target": "/a", "TmpfsOptions": {"Options": [["exec", "a", "b"]]}},
            'invalid mount config for type "tmpfs": invalid option array length',
        ),
        ({"Type": "image", "Target": "/a"}, 'invalid mount config for type "image": field Source must not be empty'),
    ],
)
def test_sentences_of_mounts(mount: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        resolve(Mounts=[mount])
    assert caught.value.sentence == sentence


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ({"Binds": ["/srv:/a", "/tmp:/a/"]}, "Duplicate mount point: /a"),
        ({"Binds": ["/srv:/a"], "Tmpfs": {"/a": ""}}, "Duplicate mount point: /a"),
        ({"Binds": ["/srv:/a"], "Mounts": [VOLUME]}, "Duplicate mount point: /a"),
        ({"Mounts": [BIND, VOLUME]}, "Duplicate mount point: /a"),
        ({"Tmpfs": {"a": ""}}, "invalid mount path: 'a' mount path must be absolute"),
        ({"Tmpfs": {"/": ""}}, "invalid specification: destination can't be '/'"),
        ({"Tmpfs": {"/a": "foo"}}, 'invalid tmpfs option "foo"'),
        ({"VolumesFrom": ["nosuch"]}, "No such container: nosuch"),
        ({"VolumesFrom": [""]}, "volumes-from specification cannot be an empty string"),
        ({"VolumesFrom": ["src:foo"]}, "invalid mode: foo"),
        ({"VolumesFrom": ["src:ro:x"]}, "invalid mode: ro:x"),
    ],
)
def test_sentences_of_the_whole(host: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        resolve(**host)
    assert caught.value.sentence == sentence


@pytest.mark.parametrize(
    ("host", "kind", "named"),
    [
        ({"Binds": ["/srv:/a:shared"]}, Unsupported, "propagation mode shared"),
        ({"Mounts": [{"Type": "image", "Source": "x", "Target": "/a"}]}, Unsupported, "mounting images"),
        (
            {"Binds": ["va:/a"], "VolumeDriver": "x"},
            NotFound,
            'create va: error looking up volume plugin x: plugin "x"',
        ),
    ],
)
def test_what_netloom_lacks(host: dict[str, Any], kind: type[NetloomError], named: str) -> None:
    with pytest.raises(kind) as caught:
        resolve(**host)
    assert named in caught.value.sentence


def test_volumes_of_the_image_yield_to_what_was_asked() -> None:
    found = resolve(
        {"/a/": {}, "/b": {}, "/c": {}, "/d": {}},
        Binds=["/srv:/a"],
        Tmpfs={"/b": ""},
        Mounts=[VOLUME | {"Target": "/c"}],
    )
    assert [(p.destination, p.name, p.mode, p.owned, p.copy) for p in found] == [
        ("/a", "", "", False, False),
        ("/c", "vola", "z", False, True),
        ("/d", "anon0", "", True, True),
    ]


def test_mounts_of_another_container() -> None:
    found = {p.destination: p for p in resolve(VolumesFrom=["src", "src:ro"], Binds=["/tmp:/s"])}
    assert [(p.destination, p.source, p.rw, p.mode) for p in found.values()] == [
        ("/s", "/tmp", True, ""),
        ("/v", "", False, ""),
        ("/mb", "/srv", False, ""),
    ]
    assert (found["/v"].owned, found["/v"].copy) == (False, False), "it stays the other one's own"


def test_a_tmpfs_with_its_options() -> None:
    options = {"SizeBytes": 1 << 20, "Mode": 0o1770, "Options": [["exec"]]}
    (point,) = resolve(Mounts=[{"Type": "tmpfs", "Target": "/a", "ReadOnly": True, "TmpfsOptions": options}])
    assert (point.options, point.rw) == (("exec", "mode=1770", "size=1048576"), False)


def test_only_what_asks_for_it_makes_its_source() -> None:
    found = resolve(
        Binds=["/x:/a"],
        Mounts=[BIND | {"Target": "/b"}, BIND | {"Target": "/c", "BindOptions": {"CreateMountpoint": True}}],
    )
    assert [p.create_source for p in found] == [True, False, True]
    assert msgspec.to_builtins(MountRequest(type="bind")) == {"Type": "bind"}
