"""Statistics as Docker's JSON, once and as a stream; pausing and changing by their routes."""

import json
from typing import Any

import pytest

from netloom.api.stats import stats_json
from netloom.model.usage import BlockCount, InterfaceCounters, Throttling, Usage
from netloom.testing.api_client import Client
from netloom.testing.fake_backend import FakeBackend

# What a running Docker said, on cgroup v1.
GOLDEN = """{"read": "2026-11-28T03:34:33.555015611Z", "preread": "2026-11-28T03:34:32.547060357Z",
"pids_stats": {"current": 1}, "blkio_stats": {"io_service_bytes_recursive": [{"major": 254, "minor": 0, "op": "Read",
"value": 454656}], "io_serviced_recursive": [], "io_queue_recursive": [], "io_service_time_recursive": [],
"io_wait_time_recursive": [], "io_merged_recursive": [], "io_time_recursive": [], "sectors_recursive": []},
"num_procs": 0, "storage_stats": {}, "cpu_stats": {"cpu_usage": {"total_usage": 33676361, "percpu_usage": [18869939,
14806422], "usage_in_kernelmode": 10000000, "usage_in_usermode": 10000000}, "system_cpu_usage": 2317050000000,
"online_cpus": 2, "throttling_data": {"periods": 1, "throttled_periods": 2, "throttled_time": 3}}, "precpu_stats":
{"cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0}, "throttling_data": {"periods": 0,
"throttled_periods": 0, "throttled_time": 0}}, "memory_stats": {"usage": 339968, "max_usage": 4722688, "stats":
{"active_anon": 4096}, "limit": 67108864}, "networks": {"eth0": {"rx_bytes": 646, "rx_packets": 5, "rx_errors": 0,
"rx_dropped": 0, "tx_bytes": 84, "tx_packets": 2, "tx_errors": 0, "tx_dropped": 0}}}"""

NOTHING = """{"read": "0001-01-01T00:00:00Z", "preread": "0001-01-01T00:00:00Z", "pids_stats": {}, "blkio_stats":
{"io_service_bytes_recursive": null, "io_serviced_recursive": null, "io_queue_recursive": null,
"io_service_time_recursive": null, "io_wait_time_recursive": null, "io_merged_recursive": null, "io_time_recursive":
null, "sectors_recursive": null}, "num_procs": 0, "storage_stats": {}, "cpu_stats": {"cpu_usage": {"total_usage": 0,
"usage_in_kernelmode": 0, "usage_in_usermode": 0}, "throttling_data": {"periods": 0, "throttled_periods": 0,
"throttled_time": 0}}, "precpu_stats": {"cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0,
"usage_in_usermode": 0}, "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0}},
"memory_stats": {}}"""


def ordered(value: Any) -> str:
    """Keys' order counts too."""
    return json.dumps(value)


def test_a_sample_is_dockers() -> None:
    now = Usage(
        read=1795836873555015611,
        pids=1,
        cpu_total=33676361,
        cpu_each=(18869939, 14806422),
        cpu_kernel=10000000,
        cpu_user=10000000,
        system_cpu=2317050000000,
        online_cpus=2,
        throttling=Throttling(1, 2, 3),
        memory=339968,
        memory_highest=4722688,
        memory_stats={"active_anon": 4096},
        memory_limit=67108864,
        block_bytes=(BlockCount(254, 0, "Read", 454656),),
        block_operations=(),
        networks={"eth0": InterfaceCounters(646, 5, 0, 0, 84, 2, 0, 0)},
    )
    assert ordered(stats_json(now, Usage(read=1795836872547060357))) == ordered(json.loads(GOLDEN))
    assert ordered(stats_json(Usage(), Usage())) == ordered(json.loads(NOTHING))


async def created(api: Client, *, start: bool = True) -> str:
    """A container named c."""
    key: str = (await api("POST", "/containers/create?name=c", {"Image": "host", "Cmd": ["sleep"]})).json["Id"]
    if start:
        await api("POST", "/containers/c/start")
    return key


async def test_once(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netloom.api.stats.SECONDS", 0)
    key = await created(api)
    found = (await api("GET", "/containers/c/stats?stream=0")).json
    assert list(found)[:4] == ["name", "id", "read", "preread"]
    assert (found["name"], found["id"]) == ("/c", key)
    assert found["preread"] < found["read"]
    assert found["networks"]["eth0"]["rx_bytes"] == 7
    brief = (await api("GET", "/containers/c/stats?stream=false&one-shot=1")).json
    assert next(iter(brief)) == "read"
    assert brief["preread"] == "0001-01-01T00:00:00Z"


async def test_what_does_not_run_has_no_figures(api: Client) -> None:
    await created(api, start=False)
    found = (await api("GET", "/containers/c/stats?stream=0")).json
    assert found["memory_stats"] == {}
    assert (await api("GET", "/containers/nosuch/stats?stream=0")).status == 404
    both = await api("GET", "/containers/c/stats?stream=1&one-shot=1")
    assert (both.status, both.message) == (400, "cannot have stream=true and one-shot=true")


async def test_a_stream_ends_with_its_container(
    api: Client, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netloom.api.stats.SECONDS", 0.001)
    await created(api)
    usage = backend.usage

    async def three(ref: str) -> Usage:
        if backend.samples == 3:
            await backend.remove("c", force=True, volumes=False, link=False)
        return await usage(ref)

    monkeypatch.setattr(backend, "usage", three)
    lines = [json.loads(line) for line in (await api("GET", "/containers/c/stats")).body.splitlines()]
    assert [line["read"][-3:] for line in lines] == ["01Z", "02Z", "03Z"]
    assert [line["preread"] for line in lines[1:]] == [line["read"] for line in lines[:-1]]


async def test_pause_unpause_and_update(api: Client, backend: FakeBackend) -> None:
    await created(api)
    assert (await api("POST", "/containers/c/pause")).status == 204
    listed = (await api("GET", "/containers/json")).json[0]
    assert (listed["State"], listed["Status"].endswith(" (Paused)")) == ("paused", True)
    assert (await api("GET", "/info")).json["ContainersPaused"] == 1
    assert (await api("POST", "/containers/c/pause")).status == 409
    assert (await api("POST", "/containers/c/unpause")).status == 204
    body = {"Memory": 0, "CpuShares": 512, "Devices": None, "RestartPolicy": {"Name": ""}}
    changed = await api("POST", "/containers/c/update", body)
    assert (changed.status, changed.json) == (200, {"Warnings": None})
    assert backend.container("c").host_config.cpu_shares == 512
    refused = await api("POST", "/containers/c/update", {"Ulimits": [{"Name": "nofile"}]})
    assert (refused.status, refused.message.partition(":")[0]) == (
        501,
        "Ulimits of a container that stands cannot be changed",
    )
