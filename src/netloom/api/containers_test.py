import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from netloom.testing.api_client import Client, eventually, read_answer, read_chunk, read_head, request
from netloom.testing.fake_backend import FakeBackend

CLI_DEFAULTS = json.loads((Path(__file__).parent / "testdata" / "cli-create-defaults.json").read_text())

STATES = "created, running, paused, restarting, removing, exited, dead"


async def made(api: Client, name: str, *command: str, **host: Any) -> str:
    body = {"Image": "host", "Cmd": command or ("sleep",), "HostConfig": host}
    answer = await api("POST", f"/containers/create?name={name}", body)
    assert answer.status == 201, answer
    return str(answer.json["Id"])


async def started(api: Client, name: str, *command: str, **host: Any) -> str:
    key = await made(api, name, *command, **host)
    assert (await api("POST", f"/containers/{name}/start")).status == 204
    return key


async def listed(api: Client, filters: object, more: str = "") -> list[str]:
    answer = await api("GET", f"/containers/json?filters={quote(json.dumps(filters))}{more}")
    assert answer.status == 200, answer
    return [container["Names"][0][1:] for container in answer.json]


async def test_everything_that_the_cli_sends_is_accepted(api: Client, backend: FakeBackend) -> None:
    answer = await api("POST", "/v1.50/containers/create?name=c", CLI_DEFAULTS | {"Image": "host"})
    assert (answer.status, answer.json["Warnings"]) == (201, [])
    assert backend.container("c").host_config.network_mode == "bridge"
    assert list(backend.container("c").networks) == ["bridge"]
    host = (await api("GET", "/containers/c/json")).json["HostConfig"]
    # As the CLI sent them: empty lists and null ones are told apart.
    assert (host["Devices"], host["Dns"], host["PortBindings"]) == ([], [], {})
    assert (host["Binds"], host["DeviceRequests"], host["ExtraHosts"]) == (None, None, None)
    assert (host["MemorySwappiness"], host["PidsLimit"], host["ShmSize"]) == (None, None, 67108864)


@pytest.mark.parametrize(
    ("key", "value"),
    [],
)
async def test_what_is_not_carried_out_is_refused_by_name(api: Client, key: str, value: object) -> None:
    answer = await api("POST", "/containers/create", {"Image": "host", "HostConfig": {key.lower(): value}})
    assert answer.status == 501
    assert key in answer.message


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("Runtime", "runsc", "unknown or invalid runtime name: runsc: crun is the only one"),
        ("Isolation", "hyperv", "invalid isolation (hyperv): linux only supports 'default'"),
        ("IOMaximumIOps", 1, "invalid option: QoS maximum IOPs configuration is not supported on linux"),
        ("IOMaximumBandwidth", 1, "invalid option: QoS maximum bandwidth configuration is not supported on linux"),
    ],
)
async def test_what_other_systems_have(api: Client, key: str, value: object, sentence: str) -> None:
    answer = await api("POST", "/containers/create", {"Image": "host", "HostConfig": {key: value}})
    assert (answer.status, answer.message) == (400, sentence)


@pytest.mark.parametrize(("key", "value"), [("NetworkDisabled", True)])
async def test_config_that_is_not_carried_out(api: Client, key: str, value: object) -> None:
    answer = await api("POST", "/containers/create", {"Image": "host", key: value})
    assert (answer.status, key in answer.message) == (501, True)


async def test_no_healthcheck_is_what_is(api: Client) -> None:
    answer = await api("POST", "/containers/create", {"Image": "host", "Healthcheck": {"Test": ["NONE"]}})
    assert answer.status == 201


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"null", "config cannot be empty in order to create a container"),
        (b"{}", "config cannot be empty in order to create a container"),
        (b'{"HostConfig":{}}', "config cannot be empty in order to create a container"),
        (b"", "invalid JSON: got EOF while reading request body"),
    ],
)
async def test_create_refused(api: Client, body: bytes, sentence: str) -> None:
    answer = await api("POST", "/containers/create", body)
    assert (answer.status, answer.message) == (400, sentence)


async def test_several_networks_are_for_newer_clients(api: Client) -> None:
    networking = {"EndpointsConfig": {"n2": {}, "n1": {}}}
    body = {"Image": "host", "HostConfig": {"NetworkMode": "n1"}, "NetworkingConfig": networking}
    answer = await api("POST", "/v1.43/containers/create", body)
    assert answer.message == "Container cannot be created with multiple network endpoints: n1, n2"
    assert (await api("POST", "/v1.44/containers/create", body)).status == 201


async def test_container_wide_mac_moves_to_the_main_network(api: Client, backend: FakeBackend) -> None:
    mac = "02:42:ac:11:00:99"
    answer = await api("POST", "/v1.43/containers/create?name=old", {"Image": "host", "MacAddress": mac})
    assert answer.json["Warnings"] == []
    answer = await api("POST", "/v1.44/containers/create?name=new", {"Image": "host", "MacAddress": mac})
    assert "now deprecated" in answer.json["Warnings"][0]
    for name in ("old", "new"):
        assert backend.container(name).networks["bridge"].mac == mac
        assert (await api("GET", f"/containers/{name}/json")).json["Config"]["MacAddress"] == mac
    networking = {"EndpointsConfig": {"bridge": {"MacAddress": "02:00:00:00:00:01"}}}
    answer = await api(
        "POST", "/containers/create", {"Image": "host", "MacAddress": mac, "NetworkingConfig": networking}
    )
    assert answer.message.startswith("the container-wide MAC address must match")
    body = {"Image": "host", "MacAddress": mac, "HostConfig": {"NetworkMode": "host"}}
    answer = await api("POST", "/v1.43/containers/create", body)
    assert answer.message == "conflicting options: mac-address and the network mode"


async def test_platform(api: Client) -> None:
    for fine in ("linux", "linux/" + {"x86_64": "amd64"}.get(os.uname().machine, "arm64")):
        assert (await api("POST", f"/containers/create?platform={fine}", {"Image": "host"})).status == 201
    answer = await api("POST", "/containers/create?platform=windows/amd64", {"Image": "host"})
    assert answer.status == 501


async def test_capabilities_are_shown_in_full(api: Client) -> None:
    await made(api, "c", CapAdd=["net_admin", "CAP_SYS_ADMIN", "all"], CapDrop="MKNOD")
    host = (await api("GET", "/containers/c/json")).json["HostConfig"]
    assert (host["CapAdd"], host["CapDrop"]) == (["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "ALL"], ["CAP_MKNOD"])


async def test_a_mac_that_was_asked_for_is_shown_before_the_start(api: Client) -> None:
    networking = {"EndpointsConfig": {"bridge": {"MacAddress": "02:00:00:00:00:77"}}}
    await api("POST", "/containers/create?name=c", {"Image": "host", "NetworkingConfig": networking})
    shown = (await api("GET", "/containers/c/json")).json
    assert shown["NetworkSettings"]["Networks"]["bridge"]["MacAddress"] == "02:00:00:00:00:77"
    assert shown["NetworkSettings"]["MacAddress"] == "02:00:00:00:00:77"
    assert (shown["LogPath"], shown["NetworkSettings"]["SandboxKey"]) == ("", "")


async def test_kill_names_the_container_as_it_was_called(api: Client) -> None:
    answer = await api("POST", "/containers/nope/kill")
    assert (answer.status, answer.message) == (404, "cannot kill container: nope: No such container: nope")


async def test_life(api: Client) -> None:
    await started(api, "c")
    assert (await api("POST", "/containers/c/start")).status == 304
    answer = await api("DELETE", "/containers/c")
    assert answer.status == 409
    assert (await api("POST", "/containers/c/rename?name=d")).status == 204
    assert (await api("POST", "/containers/d/kill?signal=KILL")).status == 204
    answer = await api("POST", "/containers/d/stop")
    assert (answer.status, answer.body) == (304, b"")
    assert (await api("GET", "/containers/d/json")).json["State"]["ExitCode"] == 137
    assert (await api("DELETE", "/containers/d?v=1&force=1")).status == 204
    answer = await api("GET", "/containers/d/json")
    assert (answer.status, answer.message) == (404, "No such container: d")


async def test_stop_hands_timeout_and_signal_on(api: Client, backend: FakeBackend) -> None:
    await started(api, "c")
    assert (await api("POST", "/containers/c/stop?t=3&signal=INT")).status == 204
    assert (await api("POST", "/containers/c/restart?t=-1")).status == 204
    assert ("stop", "c", 3, "INT") in backend.calls
    assert ("restart", "c", -1, "") in backend.calls
    answer = await api("POST", "/containers/c/stop?t=x")
    assert (answer.status, answer.message) == (400, 'strconv.Atoi: parsing "x": invalid syntax')


async def test_start_takes_no_body_and_no_checkpoint(api: Client) -> None:
    await made(api, "c")
    assert (await api("POST", "/containers/c/start", {"a": 1})).status == 400
    assert (await api("POST", "/containers/c/start?checkpoint=x")).status == 501


async def test_wait_sends_its_headers_before_the_end(api: Client) -> None:
    await made(api, "c", "exit", "3", AutoRemove=True)
    reader, writer = await api.connect()
    writer.write(request("POST", "/containers/c/wait?condition=removed"))
    status, headers = await read_head(reader)
    assert (status, headers["transfer-encoding"]) == (200, "chunked")
    await api("POST", "/containers/c/start")
    assert json.loads(await read_chunk(reader)) == {"StatusCode": 3}
    assert await read_chunk(reader) == b""
    writer.close()


async def test_wait_of_old_clients_is_one_reply(api: Client) -> None:
    await started(api, "c", "exit", "4")
    answer = await api("POST", "/v1.29/containers/c/wait")
    assert (answer.json, "content-length" in answer.headers) == ({"StatusCode": 4}, True)


async def test_wait_refused(api: Client) -> None:
    answer = await api("POST", "/containers/nope/wait")
    assert (answer.status, answer.message) == (404, "No such container: nope")
    await made(api, "c")
    answer = await api("POST", "/containers/c/wait?condition=x")
    assert (answer.status, answer.message) == (400, 'invalid condition: "x"')


async def test_a_client_that_waits_and_goes_leaves_nothing(api: Client, backend: FakeBackend) -> None:
    await started(api, "c")
    reader, writer = await api.connect()
    writer.write(request("POST", "/containers/c/wait?condition=next-exit"))
    await read_head(reader)
    assert len(backend._changed._waiters) == 1
    writer.close()
    await eventually(lambda: not backend._changed._waiters)


async def test_list_filters(api: Client) -> None:
    await api("POST", "/networks/create", {"Name": "n"})
    one = await started(api, "one", NetworkMode="n", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    await made(api, "two")
    await started(api, "three", "exit", "3")
    await api("POST", "/containers/three/wait")
    assert await listed(api, {}) == ["one"]
    assert await listed(api, {}, "&all=1") == ["three", "two", "one"]
    assert await listed(api, {}, "&limit=2") == ["three", "two"]
    assert await listed(api, {"status": ["created"]}) == ["two"]
    assert await listed(api, {"exited": ["3"]}) == ["three"]
    assert await listed(api, {"name": ["^/t"]}, "&all=1") == ["three", "two"]
    assert await listed(api, {"name": ["^two$"]}, "&all=1") == ["two"]
    assert await listed(api, {"id": [one[:8]]}) == ["one"]
    assert await listed(api, {"network": ["n"]}) == ["one"]
    assert await listed(api, {"network": [(await api("GET", "/networks/n")).json["Id"][:12]]}) == ["one"]
    assert await listed(api, {"before": ["three"]}, "&all=1") == ["two", "one"]
    assert await listed(api, {"since": ["one"]}, "&all=1") == ["three", "two"]
    assert await listed(api, {"publish": ["8000-9000/tcp"]}) == ["one"]
    assert await listed(api, {"publish": ["80"]}) == []
    assert await listed(api, {"expose": ["80"]}) == ["one"]
    assert await listed(api, {"ancestor": ["host"]}) == ["one"]
    assert await listed(api, {"ancestor": ["nope"]}) == []
    assert await listed(api, {"is-task": ["true"]}) == []
    assert await listed(api, {"label": ["x"]}) == []


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        (
            'filters={"status":["x"]}',
            400,
            f"invalid filter 'status=x': invalid value for state (x): must be one of {STATES}",
        ),
        ('filters={"exited":["x"]}', 400, "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax"),
        ('filters={"before":["nope"]}', 404, "No such container: nope"),
        ('filters={"is-task":["x"]}', 400, "invalid filter 'is-task=[x]'"),
        (
            'filters={"publish":["x"]}',
            400,
            'error while looking up for publish x: strconv.ParseUint: parsing "x": invalid syntax',
        ),
        ("limit=x", 400, 'strconv.Atoi: parsing "x": invalid syntax'),
    ],
)
async def test_list_refused(api: Client, query: str, status: int, sentence: str) -> None:
    name, _, value = query.partition("=")
    answer = await api("GET", f"/containers/json?{name}={quote(value)}")
    assert (answer.status, answer.message) == (status, sentence)


async def test_ports_and_links_as_docker_shows_them(api: Client) -> None:
    await started(api, "db", PortBindings={"53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}]})
    body = {"Image": "host", "Cmd": ["sleep"], "ExposedPorts": {"99/tcp": {}}, "HostConfig": {"Links": ["db:al"]}}
    await api("POST", "/containers/create?name=web", body)
    await api("POST", "/containers/web/start")
    web = (await api("GET", "/containers/web/json")).json
    assert web["HostConfig"]["Links"] == ["/db:/web/al"]
    assert web["NetworkSettings"]["Ports"] == {"99/tcp": None}
    db = (await api("GET", "/containers/db/json")).json["NetworkSettings"]
    assert db["Ports"] == {"53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}]}
    assert (db["IPAddress"], db["IPPrefixLen"], db["Gateway"]) == ("172.17.0.2", 16, "172.17.0.1")
    shown = {entry["Names"][0]: entry for entry in (await api("GET", "/containers/json")).json}
    assert shown["/db"]["Names"] == ["/db", "/web/al"]
    assert shown["/db"]["Ports"] == [{"IP": "127.0.0.1", "PrivatePort": 53, "PublicPort": 5353, "Type": "udp"}]
    assert shown["/web"]["Ports"] == [{"PrivatePort": 99, "Type": "tcp"}]


async def test_names_of_a_stopped_container_stay(api: Client) -> None:
    await api("POST", "/networks/create", {"Name": "n"})
    networking = {"EndpointsConfig": {"n": {"Aliases": ["al"]}}}
    body = {"Image": "host", "Cmd": ["exit", "0"], "HostConfig": {"NetworkMode": "n"}, "NetworkingConfig": networking}
    key = (await api("POST", "/containers/create?name=c", body)).json["Id"]

    async def shown() -> dict[str, Any]:
        settings: dict[str, Any] = (await api("GET", "/containers/c/json")).json["NetworkSettings"]["Networks"]["n"]
        return settings

    before = await shown()
    assert (before["NetworkID"], before["DNSNames"]) == ("", None)
    await api("POST", "/containers/c/start")
    await api("POST", "/containers/c/wait")
    after = await shown()
    assert after["NetworkID"] != ""
    assert (after["EndpointID"], after["DNSNames"]) == ("", ["c", "al", key[:12]])


async def test_a_body_at_start(api: Client) -> None:
    await api("POST", "/containers/create?name=c", {"Image": "host"})
    answer = await api("POST", "/containers/c/start", {"Binds": []})
    assert (answer.status, answer.message.partition(" was ")[0]) == (
        400,
        "starting container with non-empty request body",
    )
    assert (await api("POST", "/containers/c/start", {})).status == 204


async def test_removing_a_link_removes_no_container(api: Client) -> None:
    await api("POST", "/containers/create?name=c", {"Image": "host"})
    answer = await api("DELETE", "/containers/c?link=1&force=1")
    sentence = (
        "Conflict, cannot remove the default link name of the container: links go with the container that made them"
    )
    assert (answer.status, answer.message) == (500, sentence)
    assert (await api("GET", "/containers/c/json")).status == 200


async def test_before_api_1_45_all_names_stood_among_the_aliases(api: Client) -> None:
    await api("POST", "/networks/create", {"Name": "n"})
    networking = {"EndpointsConfig": {"n": {"Aliases": ["al"]}}}
    body = {"Image": "host", "Hostname": "h", "HostConfig": {"NetworkMode": "n"}, "NetworkingConfig": networking}
    key = (await api("POST", "/containers/create?name=c", body)).json["Id"]
    for version, aliases in (("v1.44", ["al", key[:12], "h"]), ("v1.45", ["al"])):
        shown = (await api("GET", f"/{version}/containers/c/json")).json
        assert shown["NetworkSettings"]["Networks"]["n"]["Aliases"] == aliases


async def test_resize_and_top(api: Client, backend: FakeBackend) -> None:
    key = await started(api, "c")
    assert (await api("POST", "/containers/c/resize?h=24&w=80")).status == 200
    assert backend.sizes[key] == (24, 80)
    answer = await api("POST", "/containers/c/resize?h=&w=80")
    assert (answer.status, answer.message) == (400, 'invalid resize height "": invalid syntax')
    answer = await api("POST", "/containers/c/resize?h=1&w=99999")
    assert (answer.status, answer.message) == (400, 'invalid resize width "99999": value out of range')
    answer = await api("GET", "/containers/c/top?ps_args=-o%20pid")
    assert answer.json == {"Processes": [["1", "sleep"]], "Titles": ["PID", "CMD"]}
    assert ("top", "c", "-o pid") in backend.calls


async def test_a_reply_is_whole_for_a_client_that_sends_the_next_request_at_once(api: Client) -> None:
    reader, writer = await api.connect()
    writer.write(request("POST", "/networks/create", {"Name": "n"}) + request("DELETE", "/networks/n"))
    assert (await read_answer(reader)).status == 201
    assert (await read_answer(reader, "HEAD")).status == 204
    writer.close()
