"""Limits as writes, for both versions of cgroups."""

from typing import Any

import pytest

from netloom.containers.cgroup_files import writes

MEMORY = {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20}


@pytest.mark.parametrize(
    ("resources", "v1", "v2"),
    [
        (
            {"memory": MEMORY},
            {
                "memory.limit_in_bytes": "67108864",
                "memory.memsw.limit_in_bytes": "100663296",
                "memory.soft_limit_in_bytes": "33554432",
            },
            {"memory.max": "67108864", "memory.swap.max": "33554432", "memory.low": "33554432"},
        ),
        ({"memory": {"swap": -1}}, {"memory.memsw.limit_in_bytes": "-1"}, {"memory.swap.max": "max"}),
        (
            {"cpu": {"shares": 1024, "period": 50000, "quota": 25000}},
            {"cpu.shares": "1024", "cpu.cfs_period_us": "50000", "cpu.cfs_quota_us": "25000"},
            {"cpu.weight": "39", "cpu.max": "25000 50000"},
        ),
        ({"cpu": {"quota": -1}}, {"cpu.cfs_quota_us": "-1"}, {"cpu.max": "max 100000"}),
        ({"cpu": {"shares": 2}}, {"cpu.shares": "2"}, {"cpu.weight": "1"}),
        ({"cpu": {"shares": 262144}}, {"cpu.shares": "262144"}, {"cpu.weight": "10000"}),
        ({"cpu": {"cpus": "0-1", "mems": "0"}},) + ({"cpuset.cpus": "0-1", "cpuset.mems": "0"},) * 2,
        ({"pids": {"limit": 10}}, {"pids.max": "10"}, {"pids.max": "10"}),
        ({"pids": {"limit": -1}}, {"pids.max": "max"}, {"pids.max": "max"}),
        ({"blockIO": {"weight": 300}}, {"blkio.bfq.weight": "300"}, {"io.bfq.weight": "default 300"}),
        ({}, {}, {}),
    ],
)
def test_writes(resources: dict[str, Any], v1: dict[str, str], v2: dict[str, str]) -> None:
    assert {one.name: one.text for one in writes(resources, 1)} == v1
    assert {one.name: one.text for one in writes(resources, 2)} == v2
