"""Which manifest of an index suits which machine."""

import pytest

from netloom.images.platforms import Platform, choose, parse
from netloom.model.errors import InvalidArgument, NotFound


def entry(digest: str, os: str, architecture: str, variant: str = "") -> dict[str, object]:
    return {"digest": digest, "platform": {"os": os, "architecture": architecture, "variant": variant}}


INDEX = [
    entry("attestation", "unknown", "unknown"),
    entry("amd64", "linux", "amd64"),
    entry("v6", "linux", "arm", "v6"),
    entry("v7", "linux", "arm", "v7"),
    entry("arm64", "linux", "arm64"),
    entry("windows", "windows", "amd64"),
]


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("linux/amd64", "amd64"),
        ("x86_64", "amd64"),
        ("linux/arm", "v7"),
        ("linux/arm/v6", "v6"),
        ("linux/arm/v8", "v7"),
        ("arm64", "arm64"),
        ("linux/arm64/v8", "arm64"),
        ("windows/amd64", "windows"),
        ('{"os":"linux","architecture":"arm","variant":"v7"}', "v7"),
    ],
)
def test_chosen(asked: str, chosen: str) -> None:
    assert choose(INDEX, parse(asked)) == chosen


@pytest.mark.parametrize("asked", ["linux/s390x", "linux/arm/v5"])
def test_none_suits(asked: str) -> None:
    with pytest.raises(NotFound, match=f"no matching manifest for {asked} in the manifest list entries"):
        choose(INDEX, parse(asked))


@pytest.mark.parametrize("text", ["a/b/c/d", "linux/", "lin ux", "{", '{"os": 1}'])
def test_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse(text)


def test_shown() -> None:
    assert str(Platform("linux", "arm", "v7")) == "linux/arm/v7"
