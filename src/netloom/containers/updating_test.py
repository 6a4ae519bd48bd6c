"""`docker update`: what a running Docker said to the same."""

from typing import Any

import pytest

from netloom.containers.updating import Update, changed_resources, check_update, read_update, updated
from netloom.model.errors import Conflict, InvalidArgument, Unsupported
from netloom.model.host_config import HostConfig, RestartPolicy

MB = 1 << 20
STANDS = HostConfig(memory=64 * MB)


@pytest.mark.parametrize(
    ("host_config", "asked", "sentence"),
    [
        (
            STANDS,
            {"memory": 256 * MB},
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ),
        (
            HostConfig(nano_cpus=5),
            {"cpu_quota": 50000},
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
        (
            HostConfig(nano_cpus=5),
            {"cpu_period": 50000},
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            HostConfig(cpu_period=5),
            {"nano_cpus": 5},
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            HostConfig(cpu_quota=5),
            {"nano_cpus": 5},
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
    ],
)
def test_contradictions(host_config: HostConfig, asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Conflict) as caught:
        updated(host_config, Update(asked))
    assert caught.value.sentence == sentence


def test_a_policy_and_rm() -> None:
    with pytest.raises(Conflict, match="Restart policy cannot be updated because AutoRemove is enabled"):
        updated(HostConfig(auto_remove=True), Update({}, RestartPolicy("always")))


@pytest.mark.parametrize(
    ("asked", "fields", "resources"),
    [
        (
            {"memory": 32 * MB},
            {"memory": 32 * MB, "memory_swap": 128 * MB},
            {"memory": {"limit": 32 * MB, "swap": 128 * MB}},
        ),
        (
            {"memory": 256 * MB, "memory_swap": -1},
            {"memory": 256 * MB, "memory_swap": -1},
            {"memory": {"limit": 256 * MB, "swap": -1}},
        ),
        ({"memory_swap": -1}, {"memory_swap": -1}, {"memory": {"limit": 64 * MB, "swap": -1}}),
        ({"pids_limit": -1}, {"pids_limit": 0}, {"pids": {"limit": -1}}),
        ({"pids_limit": 5}, {"pids_limit": 5}, {"pids": {"limit": 5}}),
        ({"cpu_quota": -1}, {"cpu_quota": -1}, {"cpu": {"quota": -1}}),
        ({"nano_cpus": 5 * 10**8}, {"nano_cpus": 5 * 10**8}, {"cpu": {"period": 100000, "quota": 50000}}),
        ({}, {}, {}),
    ],
)
def test_what_becomes(asked: dict[str, Any], fields: dict[str, Any], resources: dict[str, Any]) -> None:
    update = Update(asked)
    made = updated(STANDS, update)
    assert {name: getattr(made, name) for name in fields} == fields
    assert changed_resources(made, update) == resources


def test_requests() -> None:
    body = {
        "Memory": 5,
        "CpuShares": 0,
        "PidsLimit": -1,
        "Devices": [],
        "MemorySwappiness": -1,
        "OomKillDisable": False,
    }
    assert read_update(body) == Update({"memory": 5, "pids_limit": -1})
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}
    assert read_update(policy) == Update({}, RestartPolicy("on-failure", 3))
    assert read_update({"RestartPolicy": {"Name": "", "MaximumRetryCount": 0}}) == Update({})


@pytest.mark.parametrize(
    "body",
    [{"Devices": [{}]}, {"Ulimits": [{}]}, {"KernelMemory": 5}, {"MemorySwappiness": 5}, {"OomKillDisable": True}],
)
def test_what_cannot_be_changed(body: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="of a container that stands cannot be changed: create it anew"):
        read_update(body)


def test_wrong_requests() -> None:
    with pytest.raises(InvalidArgument, match="invalid restart policy: unknown policy 'bad'"):
        read_update({"RestartPolicy": {"Name": "bad"}})
    with pytest.raises(InvalidArgument, match="can only be used with 'on-failure'"):
        read_update({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 1}})
    with pytest.raises(InvalidArgument, match="Requested CPUs are not available - requested 7, available: 0-1"):
        check_update(Update({"cpuset_cpus": "7"}), cpus=2)
