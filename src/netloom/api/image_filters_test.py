"""Filters of image lists."""

import pytest

from netloom.api.filters import Filters
from netloom.api.image_filters import Pattern, listed, pruned
from netloom.model.errors import InvalidArgument
from netloom.model.image import ImageConfig, ImageView

A = ImageView(id="sha256:a", tags=("web:1", "web:2"), created=10, config=ImageConfig(labels={"x": "1"}))
B = ImageView(id="sha256:b", tags=(), created=20)
C = ImageView(id="sha256:c", tags=(), digests=("reg.test/db@sha256:0",), created=30)


def find(ref: str) -> ImageView:
    return {"a": A, "b": B, "c": C}[ref]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, "abc"),
        ({"dangling": ("true",)}, "b"),
        ({"dangling": ("false",)}, "ac"),
        ({"label": ("x",)}, "a"),
        ({"label": ("x=2",)}, ""),
        ({"before": ("b",)}, "a"),
        ({"since": ("b",)}, "c"),
        ({"until": ("0.00000002",)}, "a"),
        ({"reference": ("web",)}, "a"),
        ({"reference": ("reg.test/*",)}, "c"),
        ({"reference": ("w*:3",)}, ""),
    ],
)
def test_listed(filters: dict[str, tuple[str, ...]], ids: str) -> None:
    assert "".join(image.id[-1] for image in listed([A, B, C], Filters(filters), find, 0)) == ids


def test_a_reference_shows_only_the_names_that_match() -> None:
    assert listed([A], Filters({"reference": ("*:2",)}), find, 0)[0].tags == ("web:2",)


@pytest.mark.parametrize(
    "filters",
    [{"foo": ("x",)}, {"dangling": ("x",)}, {"reference": ("[",)}, {"reference": ("a\\",)}, {"until": ("x",)}],
)
def test_refused(filters: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(InvalidArgument):
        listed([A], Filters(filters), find, 0)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("*", "web", True),
        ("*", "a/web", False),
        ("a/*", "a/web", True),
        ("w?b", "web", True),
        ("w?b", "w/b", False),
        ("[a-wx]eb", "web", True),
        ("[^w]eb", "web", False),
        ("[]a]", "]", False),
        ("\\*", "*", True),
        ("*" * 60 + "x", "a" * 250, False),
    ],
)
def test_patterns_are_those_of_go(pattern: str, text: str, matches: bool) -> None:
    if pattern == "[]a]":
        with pytest.raises(InvalidArgument):
            Pattern(pattern)
    else:
        assert Pattern(pattern).match(text) is matches


def test_pruned() -> None:
    wanted, dangling = pruned(Filters({}), 0)
    assert dangling
    assert wanted(A)
    wanted, dangling = pruned(Filters({"dangling": ("false",), "label!": ("x",)}), 0)
    assert not dangling
    assert (wanted(A), wanted(B)) == (False, True)
