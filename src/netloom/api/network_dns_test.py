"""Counts and the query log of a network, as JSON."""

import json

from netloom.model.names import DnsCounts, DnsQuery, DnsSight
from netloom.testing.api_client import Client, read_chunk, read_head, request
from netloom.testing.fake_backend import FakeBackend


def query(number: int, sandbox: str = "", kind: int = 1, rcode: int = 0) -> DnsQuery:
    return DnsQuery(number, 1.5, sandbox, f"q{number}.test.", kind, rcode, "192.0.2.53", 0.0021)


async def network(api: Client) -> None:
    assert (await api("POST", "/networks/create", {"Name": "red"})).status == 201


async def test_counts_by_container(api: Client, backend: FakeBackend) -> None:
    await network(api)
    key = (await api("POST", "/containers/create?name=web", {"Image": "host"})).json["Id"]
    backend.sight = DnsSight(((backend.container(key).sandbox, DnsCounts(10, 1, 2, 3, 1)), ("f" * 64, DnsCounts())))
    answer = await api("GET", "/networks/red/dns")
    assert answer.json["Network"] == "red"
    unknown, web = answer.json["Containers"]
    assert (unknown["Container"], unknown["Queries"]) == ("f" * 12, 0)
    assert web == {
        "Container": "web",
        "Queries": 10,
        "Answered": 3,
        "Cached": 1,
        "Forwarded": 2,
        "Failed": 3,
        "Malformed": 1,
    }
    assert (await api("GET", "/networks/nosuch/dns")).status == 404
    assert (await api("GET", "/networks/nosuch/dns/queries")).status == 404


async def test_queries_from_now_on_and_what_is_lost(api: Client, backend: FakeBackend) -> None:
    await network(api)
    backend.sight = DnsSight((), (query(1),), 1)
    reader, writer = await api.connect()
    writer.write(request("GET", "/networks/red/dns/queries"))
    assert (await read_head(reader))[0] == 200
    backend.sight = DnsSight((), (query(4, "s" * 64, 65), query(5, rcode=3)), 5)
    lost, first, second = (json.loads(line) for line in (await read_chunk(reader)).splitlines())
    assert lost == {"Lost": 2}
    assert first == {
        "Time": "1970-01-01T00:00:01.5Z",
        "Container": "s" * 12,
        "Name": "q4.test.",
        "Type": "HTTPS",
        "Code": "NOERROR",
        "Source": "192.0.2.53",
        "Milliseconds": 2.1,
    }
    assert (second["Name"], second["Code"]) == ("q5.test.", "NXDOMAIN")
    backend.sight = DnsSight((), (query(1),), 1)  # another data plane
    assert json.loads(await read_chunk(reader))["Name"] == "q1.test."
    writer.close()
