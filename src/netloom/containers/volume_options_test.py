"""Options of volumes, with Docker's sentences."""

from __future__ import annotations

import pytest

from netloom.containers.volume_options import LocalMount, check_options, local_mount
from netloom.model.errors import InvalidArgument


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"foo": "x"}, 'create v1: invalid option: "foo"'),
        ({"type": "tmpfs"}, 'create v1: missing required option: "device"'),
        ({"o": "size=1m"}, 'create v1: missing required option: "device"'),
        ({"device": "/tmp"}, 'create v1: missing required option: "type"'),
    ],
)
def test_sentences(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_options("v1", options)
    assert caught.value.sentence == sentence


def test_empty_options_are_a_plain_folder() -> None:
    for options in (None, {}, {"type": "", "device": "", "o": ""}):
        check_options("v1", options)
        assert local_mount(options) is None


def test_words_are_flags_or_data() -> None:
    given = {"type": "nfs", "device": ":/x", "o": "addr=192.0.2.1,ro,noatime,vers=4,rw"}
    assert local_mount(given) == LocalMount(":/x", "nfs", 1 << 10, "addr=192.0.2.1,vers=4")
    assert local_mount({"type": "none", "device": "/d", "o": "bind"}) == LocalMount("/d", "none", 1 << 12, "")
