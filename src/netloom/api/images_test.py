import json
from urllib.parse import quote

import pytest

from netloom.testing.api_client import Client
from netloom.testing.fake_backend import HOST_IMAGE


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


async def test_pull(api: Client) -> None:
    answer = await api("POST", "/images/create?fromImage=docker.io%2Flibrary%2Fhost&tag=latest")
    assert (answer.status, answer.json) == (200, {"status": "Status: Image is up to date for host:latest"})
    answer = await api("POST", "/images/create?fromImage=nginx&tag=1")
    assert answer.status == 501
    assert answer.message.startswith("pulling images is not supported by netloom yet: nginx:1: ")
    assert (await api("POST", "/images/create?fromSrc=-")).status == 501
    assert (await api("POST", "/images/create?fromImage=a%20b")).status == 400
