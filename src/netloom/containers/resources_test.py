"""Limits: Docker's sentences, and what the spec says of them."""

from typing import Any

import pytest

from netloom.containers.resources import OOM_WARNING, check, counted, limits, require_controllers, warnings
from netloom.model.errors import Failed, InvalidArgument, Unsupported
from netloom.model.host_config import HostConfig, ThrottleDevice, WeightDevice

MB = 1 << 20


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"memory": 5 * MB}, "Minimum memory limit allowed is 6MB"),
        ({"memory": -5}, "Minimum memory limit allowed is 6MB"),
        (
            {"memory": 64 * MB, "memory_swap": 32 * MB},
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        ({"memory_swap": 64 * MB}, "You should always set the Memory limit when using Memoryswap limit, see usage"),
        ({"memory_reservation": 5 * MB}, "Minimum memory reservation allowed is 6MB"),
        (
            {"memory": 64 * MB, "memory_reservation": 65 * MB},
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        ({"memory_swappiness": 101}, "Invalid value: 101, valid memory swappiness range is 0-100"),
        ({"memory_swappiness": -2}, "Invalid value: -2, valid memory swappiness range is 0-100"),
        ({"cpu_shares": -1}, "invalid CPU shares (-1): value must be a positive integer"),
        (
            {"cpu_period": 999},
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (
            {"cpu_period": 1000001},
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        ({"cpu_quota": 999}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (
            {"nano_cpus": 10**9, "cpu_period": 10**5},
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            {"nano_cpus": 10**9, "cpu_quota": 10**5},
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        ({"nano_cpus": 3 * 10**9}, "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
        ({"cpuset_cpus": "9"}, "Requested CPUs are not available - requested 9, available: 0-1"),
        ({"cpuset_cpus": "x"}, "Invalid value x for cpuset cpus: invalid format: x"),
        ({"cpuset_cpus": "1-0"}, "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"),
        ({"cpuset_cpus": "100000"}, "Invalid value 100000 for cpuset cpus: value of out range, maximum is 8192"),
        ({"cpuset_mems": "y"}, "Invalid value y for cpuset mems: invalid format: y"),
        (
            {"cpu_realtime_period": 100, "cpu_realtime_runtime": 950000},
            "cpu real-time runtime cannot be higher than cpu real-time period",
        ),
        ({"blkio_weight": 9}, "range of Block I/O weight is from 10 to 1000"),
        ({"oom_score_adj": 1001}, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
        ({"shm_size": -1}, "SHM size can not be less than 0"),
    ],
)
def test_sentences(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(HostConfig(**fields), cpus=2)
    assert caught.value.sentence == sentence


@pytest.mark.parametrize(
    "fields",
    [
        {"memory_swap": -1},
        {"memory": 64 * MB, "memory_swap": -1},
        {"memory_reservation": -5},
        {"memory_swappiness": 0},
        {"cpu_quota": -1},
        {"cpuset_cpus": "0-1"},
        {"cpuset_cpus": "0,1"},
        {"cpu_realtime_period": 1000000},
    ],
)
def test_what_passes(fields: dict[str, Any]) -> None:
    check(HostConfig(**fields), cpus=2)


def test_an_update_need_not_repeat_what_stands() -> None:
    check(HostConfig(memory_swap=64 * MB), update=True)


def test_warning() -> None:
    assert warnings(HostConfig(oom_kill_disable=True)) == [OOM_WARNING]
    assert warnings(HostConfig(oom_kill_disable=True, memory=64 * MB)) == warnings(HostConfig()) == []


@pytest.mark.parametrize(
    ("fields", "made"),  # as Docker told its own runtime
    [
        ({"memory_swap": -1}, {}),
        ({"memory": 64 * MB, "memory_swap": -1}, {"memory": {"limit": 64 * MB}}),
        ({"memory": 64 * MB}, {"memory": {"limit": 64 * MB, "swap": 128 * MB}}),
        ({"memory_reservation": 64 * MB}, {"memory": {"reservation": 64 * MB}}),
        ({"memory_swappiness": 5, "oom_kill_disable": True}, {"memory": {"swappiness": 5, "disableOOMKiller": True}}),
        ({"nano_cpus": 5 * 10**8}, {"cpu": {"period": 100000, "quota": 50000}}),
        ({"cpu_quota": -1}, {}),
        (
            {"cpu_shares": 512, "cpuset_cpus": "0", "cpuset_mems": "0"},
            {"cpu": {"shares": 512, "cpus": "0", "mems": "0"}},
        ),
        ({"pids_limit": 50}, {"pids": {"limit": 50}}),
        ({"pids_limit": -1}, {}),
        (
            {
                "blkio_weight": 300,
                "blkio_weight_device": (WeightDevice("/dev/a", 100),),
                "blkio_device_read_bps": (ThrottleDevice("/dev/b", 7),),
            },
            {
                "blockIO": {
                    "weight": 300,
                    "weightDevice": [{"path": "/dev/a", "weight": 100}],
                    "throttleReadBpsDevice": [{"path": "/dev/b", "rate": 7}],
                }
            },
        ),
    ],
)
def test_limits(fields: dict[str, Any], made: dict[str, Any]) -> None:
    assert limits(HostConfig(**fields)) == made


def test_the_least_share() -> None:
    with pytest.raises(Failed, match="the minimum allowed cpu-shares is 2"):
        limits(HostConfig(cpu_shares=1))


@pytest.mark.parametrize(
    ("resources", "version", "named"),
    [
        ({"memory": {"limit": 1}}, 1, "a memory limit needs the cgroup controller memory"),
        ({"cpu": {"shares": 5}}, 2, "a cpu limit needs the cgroup controller cpu"),
        ({"cpu": {"cpus": "0"}}, 2, "a cpuset limit needs the cgroup controller cpuset"),
        ({"pids": {"limit": 5}}, 2, "a pids limit needs the cgroup controller pids"),
        ({"blockIO": {"weight": 5}}, 1, "a blkio limit needs the cgroup controller blkio"),
        ({"blockIO": {"weight": 5}}, 2, "a io limit needs the cgroup controller io"),
    ],
)
def test_a_missing_controller_is_named(resources: dict[str, Any], version: int, named: str) -> None:
    with pytest.raises(Unsupported, match=named):
        require_controllers(resources, (), version=version)
    require_controllers(resources, ("memory", "cpu", "cpuset", "pids", "blkio", "io"), version=version)


def test_what_only_the_old_cgroups_have() -> None:
    for key in ("swappiness", "disableOOMKiller"):
        require_controllers({"memory": {key: 1}}, ("memory",), version=1)
        with pytest.raises(Unsupported, match="needs cgroup v1, and this host has v2"):
            require_controllers({"memory": {key: 1}}, ("memory",), version=2)


def test_swap_is_limited_where_it_is_counted() -> None:
    asked = {"memory": {"limit": 1, "swap": 2}, "pids": {"limit": 3}}
    assert counted(asked, {"memory", "swap"}) == asked
    assert counted(asked, {"memory"}) == {"memory": {"limit": 1}, "pids": {"limit": 3}}
    assert counted({"pids": {"limit": 3}}, ()) == {"pids": {"limit": 3}}
