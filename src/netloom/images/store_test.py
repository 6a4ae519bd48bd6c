"""Names and ids of images."""

import pytest

from netloom.images.host import host_image
from netloom.images.image import Image
from netloom.images.store import ImageStore
from netloom.model.errors import InvalidArgument, NotFound

ONE = Image(id="sha256:" + "ab" * 32, tags=("one:latest", "one:2"), created=1)
TWO = Image(id="sha256:" + "abac" * 16, tags=("reg.test:5000/two:latest",), created=2)


@pytest.mark.parametrize(
    ("ref", "image"),
    [("one", ONE), ("one:2", ONE), (ONE.id, ONE), (ONE.id[7:19], ONE), ("abac", TWO), ("reg.test:5000/two", TWO)],
)
def test_resolves(ref: str, image: Image) -> None:
    assert ImageStore([ONE, TWO]).resolve(ref) is image


@pytest.mark.parametrize(("ref", "named"), [("nosuch:1", "nosuch:1"), ("one:3", "one:3"), ("x", "x:latest")])
def test_unknown_is_told_with_its_tag(ref: str, named: str) -> None:
    with pytest.raises(NotFound) as caught:
        ImageStore([ONE, TWO]).resolve(ref)
    assert caught.value.sentence == f"No such image: {named}"


def test_three_digits_are_a_name_and_not_an_id() -> None:
    with pytest.raises(NotFound):
        ImageStore([ONE]).resolve("aba")


def test_a_shared_beginning_is_ambiguous() -> None:
    twin = Image(id="sha256:" + "abac" + "0" * 60, tags=())
    with pytest.raises(InvalidArgument, match="ambiguous"):
        ImageStore([TWO, twin]).resolve("abac")


def test_the_host_is_there_without_a_registry() -> None:
    image = ImageStore().resolve("host")
    assert image.lower == ("/",)
    assert ImageStore().images()[0].tags == ("host:latest",)


def test_the_id_of_the_host_follows_its_system(tmp_path) -> None:
    (tmp_path / "etc").mkdir()
    release = tmp_path / "etc/os-release"
    release.write_text('PRETTY_NAME="Some Linux 1"\n')
    before = host_image(str(tmp_path))
    assert before == host_image(str(tmp_path))
    assert "Some Linux 1" in before.comment
    release.write_text('PRETTY_NAME="Some Linux 2"\n')
    assert host_image(str(tmp_path)).id != before.id
