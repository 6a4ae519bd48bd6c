import json
from urllib.parse import quote

import pytest

from netloom.testing.api_client import Client, eventually, read_chunk, read_head, request
from netloom.testing.fake_backend import FakeBackend


async def test_live_events_come_one_a_line_with_headers_at_once(api: Client, backend: FakeBackend) -> None:
    reader, writer = await api.connect()
    writer.write(request("GET", "/events?filters=" + quote('{"type":["network"]}')))
    status, headers = await read_head(reader)
    assert (status, headers["content-type"]) == (200, "application/json")
    await eventually(lambda: backend.bus.subscribers == 1)
    await api("POST", "/containers/create?name=c", {"Image": "host"})
    key = (await api("POST", "/networks/create", {"Name": "a<b"})).json["Id"]
    line = await read_chunk(reader)
    assert line.endswith(b"\n")
    assert b"a\\u003cb" in line
    event = json.loads(line)
    assert (event["Type"], event["Action"], event["Actor"]["ID"]) == ("network", "create", key)
    assert event["time"] == event["timeNano"] // 10**9
    writer.close()
    await eventually(lambda: backend.bus.subscribers == 0)


async def test_back_log_ends_at_until(api: Client) -> None:
    await api("POST", "/networks/create", {"Name": "n"})
    await api("POST", "/containers/create?name=c", {"Image": "host", "Labels": {"l": "1"}})
    until = "2999-01-01T00:00:00Z"
    answer = await api("GET", "/events?until=1")
    assert answer.body == b""
    for filters, actions in (
        ({}, ["create", "create"]),
        ({"event": ["create"], "type": ["container"]}, ["create"]),
        ({"container": ["c"]}, ["create"]),
        ({"label": ["l=1"]}, ["create"]),
        ({"image": ["host"]}, ["create"]),
        ({"event": ["destroy"]}, []),
    ):
        reader, writer = await api.connect()
        writer.write(request("GET", f"/events?since=1&until={until}&filters={quote(json.dumps(filters))}"))
        assert (await read_head(reader))[0] == 200
        assert [json.loads(await read_chunk(reader))["Action"] for _ in actions] == actions
        writer.close()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("since=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("since=10&until=5", "`since` time (10) cannot be after `until` time (5)"),
        ("filters=x", "invalid filter"),
        ("filters=" + quote('{"bogus":["1"]}'), "invalid filter 'bogus'"),
    ],
)
async def test_refused(api: Client, query: str, sentence: str) -> None:
    answer = await api("GET", f"/events?{query}")
    assert (answer.status, answer.message) == (400, sentence)
