"""/volumes and /containers/{id}/archive over HTTP, on the fake engine."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from netloom.api.archive import stat_header
from netloom.api.conftest import Client
from netloom.model.archive import PathStat
from netloom.testing.fake_backend import FakeBackend


def where(path: str, **filters: list[str]) -> str:
    return f"{path}?filters={quote(json.dumps(filters))}"


async def test_create_list_inspect_delete(api: Client, backend: FakeBackend) -> None:
    made = await api("POST", "/volumes/create", {"Name": "one", "Labels": {"a": "b"}})
    assert made.status == 201
    assert list(made.json) == ["CreatedAt", "Driver", "Labels", "Mountpoint", "Name", "Options", "Scope"]
    assert made.json["CreatedAt"].endswith("Z")
    assert "." not in made.json["CreatedAt"], "whole seconds"
    anonymous = (await api("POST", "/volumes/create")).json["Name"]
    assert [v["Name"] for v in (await api("GET", "/volumes")).json["Volumes"]] == ["one", anonymous]
    assert (await api("GET", "/volumes/one")).json == made.json
    backend.volumes.used["one"] = ["c1"]
    for filters, names in (
        ({"dangling": ["true"]}, [anonymous]),
        ({"dangling": ["0"]}, ["one"]),
        ({"driver": ["loc"]}, []),
        ({"name": ["on"]}, ["one"]),
        ({"label": ["a=b"]}, ["one"]),
        ({"label": ["com.docker.volume.anonymous"]}, [anonymous]),
    ):
        answer = await api("GET", where("/volumes", **filters))
        assert [v["Name"] for v in answer.json["Volumes"]] == names, filters
    answer = await api("DELETE", "/volumes/one")
    assert (answer.status, answer.message) == (409, "remove one: volume is in use - [c1]")
    assert (await api("DELETE", "/volumes/nosuch")).message == "get nosuch: no such volume"
    assert (await api("DELETE", "/volumes/nosuch?force=1")).status == 204


async def test_prune_takes_those_without_a_name_unless_all_are_meant(api: Client) -> None:
    await api("POST", "/volumes/create", {"Name": "one", "Labels": {"a": "b"}})
    anonymous = (await api("POST", "/volumes/create", {})).json["Name"]
    assert (await api("POST", where("/volumes/prune", label=["no"]))).json == {
        "VolumesDeleted": [],
        "SpaceReclaimed": 0,
    }
    assert (await api("POST", "/volumes/prune")).json["VolumesDeleted"] == [anonymous]
    kept = await api("POST", where("/volumes/prune", **{"all": ["1"], "label!": ["a"]}))
    assert kept.json["VolumesDeleted"] == []
    assert (await api("POST", where("/volumes/prune", all=["true"]))).json["VolumesDeleted"] == ["one"]


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", where("/volumes", dangling=["x"]), 400, "invalid filter 'dangling=[x]'"),
        ("GET", where("/volumes", foo=["x"]), 400, "invalid filter 'foo'"),
        ("POST", where("/volumes/prune", foo=["x"]), 400, "invalid filter 'foo'"),
        (
            "POST",
            where("/volumes/prune", all=["x"]),
            400,
            "invalid filter 'all': strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
        ("PUT", "/volumes/x", 503, "volume update only valid for cluster volumes, but swarm is unavailable"),
        ("GET", "/volumes/x", 404, "get x: no such volume"),
        ("GET", "/containers/c/archive", 400, "bad parameter: pathcannot be empty"),
        ("GET", "/containers/c/archive?path=/x", 404, "Could not find the file /x in container c"),
    ],
)
async def test_sentences(api: Client, method: str, path: str, status: int, sentence: str) -> None:
    answer = await api(method, path)
    assert (answer.status, answer.message) == (status, sentence)


def test_the_header_of_a_path() -> None:
    """As Docker 28.5 sent it."""
    found = PathStat(name="esc", size=15, mode=134218239, mtime_ns=1795836882000000000, link_target="/etc")
    assert stat_header(found) == (
        "eyJuYW1lIjoiZXNjIiwic2l6ZSI6MTUsIm1vZGUiOjEzNDIxODIzOSwibXRpbWUiOiIyMDI2LTExLTI4VDAzOjM0OjQyWiIsImxpbmtUYXJn"
        "ZXQiOiIvZXRjIn0="
    )
