import json
from urllib.parse import quote

import pytest

from netloom.model.image import HistoryEntry, ImageView, LayerView
from netloom.testing.api_client import Client
from netloom.testing.fake_backend import FakeBackend
from netloom.testing.fake_images import HOST_IMAGE


async def test_list(api: Client) -> None:
    await api("POST", "/containers/create?name=a", {"Image": "host"})
    (image,) = (await api("GET", "/images/json")).json
    assert (image["Id"], image["RepoTags"], image["Containers"]) == (HOST_IMAGE.id, ["host:latest"], 1)
    for filters, count in (
        ({"reference": ["host"]}, 1),
        ({"reference": ["other"]}, 0),
        ({"dangling": ["true"]}, 0),
        ({"dangling": ["false"]}, 1),
        ({"label": ["a"]}, 0),
    ):
        answer = await api("GET", f"/images/json?filters={quote(json.dumps(filters))}")
        assert len(answer.json) == count


@pytest.mark.parametrize("ref", ["host", "host:latest", "docker.io/library/host", HOST_IMAGE.id, HOST_IMAGE.id[7:19]])
async def test_inspect(api: Client, ref: str) -> None:
    assert (await api("GET", f"/images/{ref}/json")).json["Id"] == HOST_IMAGE.id
    assert len((await api("GET", f"/images/{ref}/history")).json) == 1


@pytest.mark.parametrize(("ref", "named"), [("nope", "nope:latest"), ("host:2", "host:2"), ("ab", "ab:latest")])
async def test_unknown(api: Client, ref: str, named: str) -> None:
    answer = await api("GET", f"/images/{ref}/json")
    assert (answer.status, answer.message) == (404, f"No such image: {named}")


async def test_inspect_tells_layers_and_names(api: Client, backend: FakeBackend) -> None:
    image = ImageView(
        id="sha256:" + "cd" * 32,
        tags=("web:1",),
        digests=("web@sha256:00",),
        layers=("sha256:01", "sha256:02"),
        history=(HistoryEntry(created_by="first", size=3), HistoryEntry(created_by="second")),
        variant="v8",
    )
    backend.images.found.append(image)
    told = (await api("GET", "/images/web:1/json")).json
    assert told["RootFS"] == {"Type": "layers", "Layers": ["sha256:01", "sha256:02"]}
    assert (told["RepoDigests"], told["Variant"]) == (["web@sha256:00"], "v8")
    steps = (await api("GET", "/images/web:1/history")).json
    assert [(step["Id"], step["CreatedBy"], step["Size"], step["Tags"]) for step in steps] == [
        (image.id, "second", 0, ["web:1"]),
        ("<missing>", "first", 3, None),
    ]


async def test_shared_sizes(api: Client, backend: FakeBackend) -> None:
    backend.images.shared = [
        LayerView(diff_id="sha256:01", size=5, images=(HOST_IMAGE.id, "other")),
        LayerView(diff_id="sha256:02", size=7, images=(HOST_IMAGE.id,)),
    ]
    assert (await api("GET", "/images/json?shared-size=1")).json[0]["SharedSize"] == 5
    assert (await api("GET", "/images/json")).json[0]["SharedSize"] == -1


async def test_tag_and_remove(api: Client, backend: FakeBackend) -> None:
    assert (await api("POST", "/images/host/tag?repo=a/b&tag=1")).status == 201
    removed = await api("DELETE", "/images/host?force=1&noprune=1")
    assert removed.json == [{"Untagged": "host"}, {"Deleted": HOST_IMAGE.id}]
    assert backend.images.calls == [("tag", HOST_IMAGE.id, "a/b", "1"), ("remove", HOST_IMAGE.id, True, False)]


async def test_prune(api: Client) -> None:
    assert (await api("POST", "/images/prune")).json == {"ImagesDeleted": None, "SpaceReclaimed": 0}
    filters = quote(json.dumps({"dangling": ["false"]}))
    answer = await api("POST", f"/images/prune?filters={filters}")
    assert answer.json == {"ImagesDeleted": [{"Deleted": HOST_IMAGE.id}], "SpaceReclaimed": 1}
