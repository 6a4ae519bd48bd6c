import json
from urllib.parse import quote

import pytest

from netloom.api.routing import VERSIONS
from netloom.testing.api_client import Client
from netloom.testing.fake_backend import FakeBackend


async def make(api: Client, name: str, **more: object) -> str:
    answer = await api("POST", "/networks/create", {"Name": name, **more})
    assert answer.status == 201, answer
    return str(answer.json["Id"])


async def names(api: Client, filters: object) -> list[str]:
    answer = await api("GET", f"/networks?filters={quote(json.dumps(filters))}")
    assert answer.status == 200, answer
    return sorted(network["Name"] for network in answer.json)


async def running(api: Client, name: str, network: str) -> str:
    body = {"Image": "host", "Cmd": ["sleep"], "HostConfig": {"NetworkMode": network}}
    key = (await api("POST", f"/containers/create?name={name}", body)).json["Id"]
    assert (await api("POST", f"/containers/{key}/start")).status == 204
    return str(key)


async def test_filters_as_docker(api: Client) -> None:
    await make(api, "full", Labels={"org.example.team": "blue"})
    await make(api, "min")
    await make(api, "internal", Internal=True)
    builtin = ["bridge", "host", "none"]
    custom = ["full", "internal", "min"]
    assert await names(api, {"driver": ["bridge"]}) == ["bridge", *custom]
    assert await names(api, {"driver": ["b"]}) == []
    assert await names(api, {"type": ["custom"]}) == custom
    assert await names(api, {"type": ["builtin"]}) == builtin
    assert await names(api, {"type": ["custom", "builtin"]}) == sorted(builtin + custom)
    assert await names(api, {"scope": ["local"]}) == sorted(builtin + custom)
    assert await names(api, {"scope": ["swarm"]}) == []
    assert await names(api, {"label": ["org.example.team"]}) == ["full"]
    assert await names(api, {"label": ["org.example.team=blue"]}) == ["full"]
    assert await names(api, {"label": {"org.example.team=red": True}}) == []
    assert await names(api, {"dangling": ["true"]}) == custom
    assert await names(api, {"dangling": ["0"]}) == builtin
    assert await names(api, {"name": ["in"]}) == ["internal", "min"]
    assert await names(api, {"name": ["^full$"]}) == ["full"]
    assert await names(api, {"name": ["["]}) == []
    assert await names(api, {"id": ["x"]}) == []


async def test_a_network_with_a_running_container_does_not_dangle(api: Client) -> None:
    await make(api, "used")
    await running(api, "c", "used")
    assert await names(api, {"dangling": ["true"]}) == []


@pytest.mark.parametrize(
    ("filters", "status", "sentence"),
    [
        (
            '{"dangling":["maybe"]}',
            400,
            'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")',
        ),
        ('{"dangling":["true","false"]}', 400, 'got more than one value for filter key "dangling"'),
        ('{"type":["odd"]}', 500, "invalid filter: 'type'='odd'"),
        ('{"bogus":["1"]}', 400, "invalid filter 'bogus'"),
        ("{x", 400, "invalid filter"),
        ("[]", 400, "invalid filter"),
        ('{"id":1}', 400, "invalid filter"),
        ('{"id":{"a":1}}', 400, "invalid filter"),
    ],
)
async def test_filters_refused(api: Client, filters: str, status: int, sentence: str) -> None:
    answer = await api("GET", f"/networks?filters={quote(filters)}")
    assert (answer.status, answer.message) == (status, sentence)


@pytest.mark.parametrize("pattern", ["(a+)+$", "a*a*a*a*b", "x" * 300])
async def test_patterns_that_could_stall_the_daemon_are_refused(api: Client, pattern: str) -> None:
    await make(api, "a" * 40)
    answer = await api("GET", f"/networks?filters={quote(json.dumps({'name': [pattern]}))}")
    assert (answer.status, "too complex" in answer.message) == (400, True)


async def test_inspect_by_name_id_and_prefix(api: Client) -> None:
    key = await make(api, "a/b c")
    for ref in ("a/b%20c", "a%2Fb%20c", key, key[:10]):
        assert (await api("GET", f"/networks/{ref}")).json["Name"] == "a/b c"
    answer = await api("GET", "/networks/nope")
    assert (answer.status, answer.message) == (404, "network nope not found")
    answer = await api("GET", "/networks/a%2Fb%20c?scope=swarm")
    assert (answer.status, answer.message) == (404, "network a/b c not found")
    answer = await api("GET", "/networks/bridge?verbose=odd")
    assert answer.status == 400
    assert answer.message == 'invalid value for verbose: odd: strconv.ParseBool: parsing "odd": invalid syntax'
    assert (await api("GET", "/networks/bridge?verbose=true")).status == 200


async def test_what_docker_does_not_tell_only_when_asked_for(api: Client, backend: FakeBackend) -> None:
    key = await running(api, "c", "bridge")
    plain = (await api("GET", "/networks/bridge")).json["Containers"][key]
    assert list(plain) == ["Name", "EndpointID", "MacAddress", "IPv4Address", "IPv6Address"]
    endpoint = backend.container_endpoints(key)[backend.network("bridge").id]
    for answer in (
        await api("GET", "/networks/bridge?netloom=1"),
        await api("GET", "/networks/bridge", headers={"Netloom": "1"}),
    ):
        assert answer.json["Containers"][key] == {**plain, "HostInterface": endpoint.host_name, "Guard": "own"}


async def test_the_figures_only_when_asked_for_or_for_a_client_that_knows_them(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {"IPAM": {"Subnets": {"172.17.0.0/16": {"IPsInUse": 3, "DynamicIPsAvailable": 2**64 - 1}}}}
    assert "Status" not in (await api("GET", "/networks/bridge")).json
    assert "Status" not in (await api("GET", "/v1.24/networks/bridge")).json
    assert (await api("GET", "/networks/bridge?netloom=1")).json["Status"] == figures
    assert (await api("GET", "/networks/host?netloom=1")).json["Status"] == {"IPAM": {"Subnets": {}}}
    monkeypatch.setitem(VERSIONS, "v1.52", (1, 52))
    assert (await api("GET", "/v1.52/networks/bridge")).json["Status"] == figures
    assert not any("Status" in network for network in (await api("GET", "/v1.52/networks")).json)


async def test_options_of_ipam_are_shown_and_warned_of(api: Client) -> None:
    answer = await api("POST", "/networks/create", {"Name": "n", "IPAM": {"Options": {"foo": "bar", "a": "b"}}})
    assert answer.json["Warning"] == "the default IPAM driver has no options, ignored: a, foo"
    assert (await api("GET", "/networks/n")).json["IPAM"]["Options"] == {"a": "b", "foo": "bar"}


async def test_lists_of_old_clients_show_containers(api: Client) -> None:
    key = await running(api, "c", "bridge")
    by_name = {n["Name"]: n for n in (await api("GET", "/v1.24/networks")).json}
    assert list(by_name["bridge"]["Containers"]) == [key]
    by_name = {n["Name"]: n for n in (await api("GET", "/networks")).json}
    assert by_name["bridge"]["Containers"] == {}


async def test_create_hands_everything_on(api: Client, backend: FakeBackend) -> None:
    await make(
        api,
        "n",
        CheckDuplicate=True,
        EnableIPv6=True,
        Attachable=True,
        IPAM={
            "Driver": "default",
            "Options": {"foo": "bar"},
            "Config": [{"Subnet": "10.30.0.0/16", "AuxiliaryAddresses": {"r": "10.30.0.9"}}],
        },
        Options={"o": "1"},
        Labels={"l": ""},
    )
    made = backend.network("n")
    assert (made.ipv6, made.attachable, made.ipam_options) == (True, True, {"foo": "bar"})
    assert (made.options, made.labels) == ({"o": "1"}, {"l": ""})
    assert [(pool.subnet, pool.aux) for pool in made.requested] == [("10.30.0.0/16", {"r": "10.30.0.9"})]


@pytest.mark.parametrize("body", [{"Name": ""}, {"Name": "  "}, {}, None, b"null"])
async def test_create_without_name(api: Client, body: object) -> None:
    answer = await api("POST", "/networks/create", body)
    assert (answer.status, answer.message) == (400, "invalid name: name is empty")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "\x7f", "a\u0085"])
async def test_names_that_forge_lines_are_refused(api: Client, name: str) -> None:
    answer = await api("POST", "/networks/create", {"Name": name})
    assert (answer.status, answer.message) == (400, "invalid name: name holds a control character")


@pytest.mark.parametrize("name", ["Ünï", "a b", "-lead", ".dot", "container:x", "x" * 300])
async def test_names_that_docker_takes(api: Client, name: str) -> None:
    await make(api, name)


async def test_connect_disconnect_delete(api: Client, backend: FakeBackend) -> None:
    await make(api, "n")
    key = await running(api, "c", "bridge")
    endpoint = {"Aliases": ["x"], "IPAMConfig": {"IPv4Address": "10.1.2.3"}, "GwPriority": 7, "MacAddress": "m"}
    answer = await api("POST", "/networks/n/connect", {"Container": "c", "EndpointConfig": endpoint})
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert "content-type" not in answer.headers
    config = backend.container("c").networks["n"]
    assert (config.aliases, config.gw_priority, config.mac) == (("x",), 7, "m")
    assert config.ipam is not None
    assert config.ipam.ipv4 == "10.1.2.3"
    assert list((await api("GET", "/networks/n")).json["Containers"]) == [key]
    answer = await api("DELETE", "/networks/n")
    assert (answer.status, "has active endpoints" in answer.message) == (403, True)
    assert (await api("POST", "/networks/n/disconnect", {"Container": key[:12], "Force": True})).status == 200
    assert (await api("DELETE", "/networks/n")).status == 204
    assert (await api("DELETE", "/networks/n")).status == 404


async def test_prune_takes_what_nobody_uses(api: Client) -> None:
    for name, labels in (("a", {"keep": "1"}), ("b", {}), ("used", {})):
        await make(api, name, Labels=labels)
    await running(api, "c", "used")
    query = quote(json.dumps({"label!": ["keep"]}))
    assert (await api("POST", f"/networks/prune?filters={query}")).json == {"NetworksDeleted": ["b"]}
    query = quote(json.dumps({"until": ["1h"]}))
    assert (await api("POST", f"/networks/prune?filters={query}")).json == {"NetworksDeleted": None}
    assert (await api("POST", "/networks/prune")).json == {"NetworksDeleted": ["a"]}
    answer = await api("POST", "/networks/prune?filters=" + quote('{"driver":["x"]}'))
    assert (answer.status, answer.message) == (400, "invalid filter 'driver'")
    answer = await api("POST", "/networks/prune?filters=" + quote('{"until":["x"]}'))
    assert (answer.status, answer.message) == (400, 'failed to parse value as time or duration: "x"')
