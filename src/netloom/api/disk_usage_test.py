from __future__ import annotations

import pytest

from netloom.testing.api_client import Client
from netloom.testing.fake_backend import HOST_IMAGE, FakeBackend


async def made(api: Client, name: str) -> str:
    answer = await api("POST", f"/containers/create?name={name}", {"Image": "host", "Cmd": ["sleep"]})
    return str(answer.json["Id"])


async def test_containers_with_what_they_have_written(api: Client, backend: FakeBackend) -> None:
    wrote, idle = await made(api, "wrote"), await made(api, "idle")
    backend.bytes_written[wrote] = 6
    answer = await api("GET", "/system/df")
    assert list(answer.json) == ["LayersSize", "Images", "Containers", "Volumes", "BuildCache"]
    shown = {container["Id"]: container for container in answer.json["Containers"]}
    assert (shown[wrote]["SizeRw"], shown[wrote]["SizeRootFs"]) == (6, HOST_IMAGE.size + 6)
    assert "SizeRw" not in shown[idle]
    assert shown[idle]["SizeRootFs"] == HOST_IMAGE.size
    assert [image["Containers"] for image in answer.json["Images"]] == [2]
    assert answer.json["BuildCache"] == []


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("type=container", {"Containers"}),
        ("type=image&type=volume", {"Images", "Volumes"}),
        ("type=build-cache", {"BuildCache"}),
    ],
)
async def test_only_the_types_that_were_asked_for(api: Client, query: str, there: set[str]) -> None:
    answer = await api("GET", f"/system/df?{query}")
    assert {key for key, value in answer.json.items() if value is not None and key != "LayersSize"} == there


async def test_an_unknown_type(api: Client) -> None:
    answer = await api("GET", "/system/df?type=image&type=foo")
    assert (answer.status, answer.message) == (400, "unknown object type: foo")


async def test_lists_and_inspect_tell_sizes_when_asked(api: Client, backend: FakeBackend) -> None:
    key = await made(api, "c")
    backend.bytes_written[key] = 6
    for path in ("/containers/json?all=1", "/containers/c/json"):
        shown = (await api("GET", path)).json
        assert "SizeRw" not in str(shown)
        shown = (await api("GET", f"{path}{'&' if '?' in path else '?'}size=1")).json
        shown = shown[0] if isinstance(shown, list) else shown
        assert shown["SizeRw"] == 6


async def test_there_is_no_build_cache_to_prune(api: Client) -> None:
    answer = await api("POST", "/build/prune")
    assert (answer.status, answer.json) == (200, {"CachesDeleted": None, "SpaceReclaimed": 0})
