"""Layers as they come out of tars, honest and hostile ones. Needs root: devices, owners, trusted xattrs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netloom.images.conftest import Member, Unpacking, digest, member, tar
from netloom.images.recording import replay

DIR, LINK, SYMLINK, CHR, FIFO = tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE
Unpack = Callable[..., Unpacking]

TREE = tar(
    member("./", type=DIR, mode=0o755),
    member("bin/", type=DIR, mode=0o755, mtime=1_500_000_000),
    member("bin/tool", b"x" * 70_000, mode=0o4755, uid=7, gid=8, pax={"mtime": "1600000000.123456789"}),
    member("bin/same", linkname="bin/tool", type=LINK),
    member("bin/link", linkname="/bin/tool", type=SYMLINK, uid=9),
    member("dev/null", type=CHR, devmajor=1, devminor=3, mode=0o666),
    member("pipe", type=FIFO, mode=0o600),
    member("empty"),
    member("caps", b"c", pax={"SCHILY.xattr.security.capability": "\x01\0\0\x02\0\x20\0\0" + "\0" * 12}),
)


def again(unpacked: Unpacking) -> bytes:
    """The tar, put together from layer and recording."""
    root = os.open(unpacked.diff, os.O_RDONLY)
    try:
        with (unpacked.folder / "recording").open("rb") as recording:
            return b"".join(replay(recording, root, str(unpacked.folder / "spare")))
    finally:
        os.close(root)


def test_everything_is_kept(unpack: Unpack) -> None:
    layer = unpack(TREE)
    assert layer.error == ""
    tool = os.stat(layer.diff / "bin/tool")
    assert (stat.S_IMODE(tool.st_mode), tool.st_uid, tool.st_gid) == (0o4755, 7, 8)
    assert (tool.st_mtime_ns, tool.st_nlink) == (1_600_000_000_123_456_789, 2)
    assert (layer.diff / "bin/tool").read_bytes() == b"x" * 70_000
    link = os.lstat(layer.diff / "bin/link")
    assert (os.readlink(layer.diff / "bin/link"), link.st_uid) == ("/bin/tool", 9)
    assert os.stat(layer.diff / "bin").st_mtime == 1_500_000_000
    null = os.stat(layer.diff / "dev/null")
    assert stat.S_ISCHR(null.st_mode)
    assert null.st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO(os.stat(layer.diff / "pipe").st_mode)
    assert os.getxattr(layer.diff / "caps", "security.capability")[:4] == b"\x01\0\0\x02"
    assert layer.told["size"] == 70_000 + len("/bin/tool") + 1
    assert layer.told["diff_id"] == layer.told["digest"] == digest(TREE)


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-cq"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "compress",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        zstd,
        lambda data: gzip.compress(data[:999]) + gzip.compress(data[999:]),
    ],
    ids=["gzip", "bzip2", "xz", "zstd", "two gzips"],
)
def test_compressed(unpack: Unpack, compress: Callable[[bytes], bytes]) -> None:
    packed = compress(TREE)
    layer = unpack(packed)
    assert (layer.told["diff_id"], layer.told["digest"]) == (digest(TREE), digest(packed))
    assert unpack(packed[: len(packed) // 2]).error.startswith("unexpected EOF")


def test_the_very_same_tar_comes_out(unpack: Unpack) -> None:
    assert again(unpack(TREE)) == TREE


def test_padding_after_the_end_belongs_to_it(unpack: Unpack) -> None:
    data = TREE + bytes(10_240 - 77)
    assert again(unpack(data)) == data


def test_what_the_tar_overwrites_comes_out_too(unpack: Unpack) -> None:
    data = tar(
        member("a", b"first"),
        member("b", linkname="a", type=LINK),
        member("a", b"second"),
        member("d/f", b"in a folder"),
        member("d", b"no folder any more"),
        member("real/x", b"1"),
        member("alias", linkname="real", type=SYMLINK),
        member("alias/y", b"by the alias"),
        member("alias", b"a file"),
    )
    layer = unpack(data)
    assert (layer.diff / "a").read_text() == "second"
    assert (layer.diff / "b").read_text() == "first"
    assert (layer.diff / "real/y").read_text() == "by the alias"
    assert again(layer) == data


def test_sparse_files(unpack: Unpack, tmp_path: Path) -> None:
    with (tmp_path / "holes").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    for form in ("gnu", "pax"):
        made = subprocess.run(
            ["tar", "-C", str(tmp_path), "--sparse", f"--format={form}", "-c", "holes"], capture_output=True, check=True
        )
        layer = unpack(made.stdout)
        assert (layer.diff / "holes").read_bytes() == (tmp_path / "holes").read_bytes()
        assert again(layer) == made.stdout


def test_whiteouts(unpack: Unpack) -> None:
    layer = unpack(
        member("d/", type=DIR),
        member("d/.wh.gone"),
        member("o/", type=DIR),
        member("o/.wh..wh..opq"),
        member(".wh..wh.plnk", type=DIR),
        member(".wh.back"),
        member("back/", type=DIR),
        member(".wh.file"),
        member("file", b"new"),
        member("kept/", type=DIR),
        member(".wh.kept"),
    )
    gone = os.lstat(layer.diff / "d/gone")
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    for name in ("o", "back", "kept"):
        assert os.getxattr(layer.diff / name, "trusted.overlay.opaque") == b"y"
    assert (layer.diff / "file").read_text() == "new"
    assert layer.names() == ["back", "d", "d/gone", "file", "kept", "o"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("../out", b"x")], "outside of the layer"),
        ([member("a/../../out", b"x")], "outside of the layer"),
        ([member("a", linkname="../../etc/passwd", type=LINK)], "outside of the layer"),
        ([member("a", linkname="/etc/passwd", type=LINK)], "no such file"),
        ([member("a", type=b"Z")], "unhandled tar header type"),
        ([member("a", b"x"), member("a/b", b"x")], "exists"),
        ([member("d/.wh...", b"")], "invalid whiteout"),
    ],
)
def test_refused(unpack: Unpack, members: list[Member], said: str) -> None:
    assert said in unpack(*members).error


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """What lies beside the layers, and must stay as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("untouched")
    yield folder
    assert [(one.name, one.read_text()) for one in folder.iterdir()] == [("file", "untouched")]


def test_no_name_leads_out(unpack: Unpack, outside: Path) -> None:
    up = "../" * 40
    layer = unpack(
        member(f"/{outside}/file", b"absolute"),
        member("up", linkname=f"{up}{outside}", type=SYMLINK),
        member("up/file", b"through a relative link"),
        member("abs", linkname=str(outside), type=SYMLINK),
        member("abs/new", b"through an absolute link"),
        member("one", linkname=f"{outside}/file", type=SYMLINK),
        member("one", b"over a link"),
        member("hard", linkname="abs/file", type=LINK),
        member("hard", b"over a hard link"),
    )
    assert layer.error == ""
    inside = layer.diff / str(outside).lstrip("/")
    assert (inside / "file").read_text() == "through a relative link"
    assert (inside / "new").read_text() == "through an absolute link"
    assert (layer.diff / "one").read_text() == "over a link"
    assert not (layer.diff / "one").is_symlink()


def test_a_device_is_replaced_and_never_written(unpack: Unpack) -> None:
    layer = unpack(member("disk", type=tarfile.BLKTYPE, devmajor=7, devminor=250), member("disk", b"data"))
    assert stat.S_ISREG(os.stat(layer.diff / "disk").st_mode)


def test_overlayfs_s_own_attributes_are_not_for_layers(unpack: Unpack) -> None:
    layer = unpack(
        member("a", b"x", pax={"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.trusted.mine": "1"})
    )
    assert os.listxattr(layer.diff / "a") == ["trusted.mine"]


def test_a_header_that_claims_gigabytes(unpack: Unpack) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 8 << 30
    assert "too large" in unpack(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)).error


def test_a_negative_size(unpack: Unpack) -> None:
    header = bytearray(tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = b"\xff" * 11 + b"\x00"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    assert unpack(bytes(header) + bytes(1024)).error


@pytest.mark.parametrize(
    "junk", [b"junk", b"\x1f\x8b junk", b"x" * 2048, TREE[:-1500], TREE[:700], struct.pack("512s", b"a")]
)
def test_what_is_no_tar(unpack: Unpack, junk: bytes) -> None:
    assert unpack(junk).error


def test_nothing_is_an_empty_layer(unpack: Unpack) -> None:
    assert unpack(b"").told["diff_id"] == digest(b"")


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_tar_with_broken_bytes_is_refused_or_kept(unpack: Unpack, data: st.DataObject) -> None:
    broken = bytearray(TREE)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    layer = unpack(bytes(broken))
    assert layer.error or again(layer) == bytes(broken)


def test_tars_of_gnu_tar(unpack: Unpack, tmp_path: Path) -> None:
    source = tmp_path / "source"
    long = source / ("n" * 120) / ("m" * 120)
    long.mkdir(parents=True)
    (long / "ümlaut \udcff").write_bytes(b"1")
    for form in ("gnu", "posix"):
        made = subprocess.run(
            ["tar", "-C", str(source), f"--format={form}", "-c", "."], capture_output=True, check=True
        )
        layer = unpack(made.stdout)
        assert layer.error == ""
        assert subprocess.run(["diff", "-r", str(source), str(layer.diff)], check=False).returncode == 0
        assert again(layer) == made.stdout
