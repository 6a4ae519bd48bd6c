"""Names of images, as Docker's own parser takes and refuses them."""

import pytest

from netloom.images.reference import parse
from netloom.model.errors import InvalidArgument

HEX = "ab" * 32


@pytest.mark.parametrize(
    ("text", "whole", "familiar"),
    [
        ("web", "docker.io/library/web", "web"),
        ("web:1", "docker.io/library/web:1", "web:1"),
        ("docker.io/web", "docker.io/library/web", "web"),
        ("index.docker.io/a/web", "docker.io/a/web", "a/web"),
        ("a/web", "docker.io/a/web", "a/web"),
        ("localhost/web", "localhost/web", "localhost/web"),
        ("reg.test:5000/a/b:t", "reg.test:5000/a/b:t", "reg.test:5000/a/b:t"),
        ("REG/web", "REG/web", "REG/web"),
        ("[::1]:5000/web", "[::1]:5000/web", "[::1]:5000/web"),
        (f"web:1@sha256:{HEX}", f"docker.io/library/web:1@sha256:{HEX}", f"web:1@sha256:{HEX}"),
        ("a__b/c-d.e", "docker.io/a__b/c-d.e", "a__b/c-d.e"),
    ],
)
def test_taken(text: str, whole: str, familiar: str) -> None:
    assert (parse(text).whole, parse(text).familiar) == (whole, familiar)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Web", "invalid reference format: repository name (library/Web) must be lowercase"),
        ("", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("web:", "invalid reference format"),
        ("web:@", "invalid reference format"),
        (f"web:{'t' * 129}", "invalid reference format"),
        ("web@sha256:abc", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("../etc/passwd", "invalid reference format"),
        ("reg.test:x/web", "invalid reference format"),
        ("a" * 256, "repository name must not be more than 255 characters"),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text)
    assert caught.value.sentence == said
