"""The OCI spec against what Docker's containers show."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from netloom.containers import capabilities
from netloom.containers import environment as environments
from netloom.containers.masks import mask_host
from netloom.containers.resources import require_controllers
from netloom.containers.spec import environment, runtime_spec
from netloom.model.container import Container, ContainerConfig
from netloom.model.errors import Failed, Unsupported
from netloom.model.host_config import HostConfig, Ulimit

PATHS = json.loads((Path(__file__).parent / "testdata/paths.json").read_text())


def container(host_config: HostConfig | None = None, **config: Any) -> Container:
    config.setdefault("cmd", ("true",))
    return Container(
        id="c" * 64,
        name="c",
        created=0,
        image_id="",
        config=ContainerConfig(hostname="h", **config),
        host_config=host_config or HostConfig(),
    )


def spec(host_config: HostConfig | None = None, files: dict[str, str] | None = None, **config: Any) -> dict[str, Any]:
    return runtime_spec(container(host_config, **config), files=files or {})


def mask(names: list[str]) -> int:
    return sum(1 << capabilities.KNOWN.index(name) for name in names)


@pytest.mark.parametrize(
    ("host_config", "bits"),  # as the kernel showed them in a container of Docker's
    [
        (HostConfig(), 0xA80425FB),
        (HostConfig(cap_add=("net_admin",)), 0xA80435FB),
        (HostConfig(cap_add=("ALL",)), 0x1FFFFFFFFFF),
        (HostConfig(cap_drop=("ALL",)), 0),
        (HostConfig(cap_drop=("ALL",), cap_add=("CAP_NET_RAW",)), 1 << 13),
        (HostConfig(cap_add=("all",), cap_drop=("NET_RAW",)), 0x1FFFFFFDFFF),
        (HostConfig(privileged=True, cap_drop=("NET_RAW",)), 0x1FFFFFFFFFF),
    ],
)
def test_capabilities(host_config: HostConfig, bits: int) -> None:
    made = spec(host_config)["process"]["capabilities"]
    assert {kind: mask(names) for kind, names in made.items()} == dict.fromkeys(
        ("bounding", "effective", "permitted"), bits
    )
    assert mask(sorted(capabilities.from_mask(bits))) == bits


def test_masked_and_read_only_paths_are_dockers() -> None:
    linux = spec()["linux"]
    assert linux["maskedPaths"] == PATHS["MaskedPaths"]
    assert linux["readonlyPaths"] == PATHS["ReadonlyPaths"]
    privileged = spec(HostConfig(privileged=True))["linux"]
    assert (privileged["maskedPaths"], privileged["readonlyPaths"]) == ([], [])


def test_mounts() -> None:
    files = {name: f"/state/{name}" for name in ("hosts", "hostname", "resolv.conf")}
    mounts = {one["destination"]: one for one in spec(HostConfig(shm_size=1 << 20), files)["mounts"]}
    assert {name: mounts[f"/etc/{name}"]["source"] for name in files} == files
    assert "ro" not in mounts["/etc/hosts"]["options"]
    assert "ro" in mounts["/sys"]["options"]
    assert "size=1048576" in mounts["/dev/shm"]["options"]
    closed = {one["destination"]: one for one in spec(HostConfig(readonly_rootfs=True), files)["mounts"]}
    assert "ro" in closed["/etc/hosts"]["options"]
    privileged = {one["destination"]: one for one in spec(HostConfig(privileged=True))["mounts"]}
    assert "ro" not in privileged["/sys"]["options"]


def test_devices_are_denied_but_for_dockers() -> None:
    rules = spec()["linux"]["resources"]["devices"]
    assert rules[0] == {"allow": False, "access": "rwm"}
    allowed = {(r["type"], r.get("major"), r.get("minor"), r["access"]) for r in rules[1:]}
    plain = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (10, 200), (136, None)]
    assert allowed == {("c", a, b, "rwm") for a, b in plain} | {("c", None, None, "m"), ("b", None, None, "m")}


def test_environment() -> None:
    one = container(tty=True, env=("A=1", "HOSTNAME=x", "GONE"))
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert environment(one) == [path, "HOSTNAME=x", "TERM=xterm", "A=1"]
    assert "TERM=xterm" not in environment(one, tty=False)
    assert environments.with_home(["HOME=", "A=1"], "/h") == ["A=1", "HOME=/h"]
    assert environments.with_home(["HOME=/own"], "/h") == ["HOME=/own"]


START, RANGE = "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"


@pytest.mark.parametrize(
    ("mode", "asked", "made"),
    [
        ("bridge", None, {START: "0", RANGE: "0 2147483647"}),
        ("none", {RANGE: "1 0"}, {START: "0", RANGE: "1 0"}),
        ("host", {"kernel.msgmax": "1000"}, {"kernel.msgmax": "1000"}),
        ("container:x", {"fs.mqueue.msg_max": "10"}, {"fs.mqueue.msg_max": "10"}),
    ],
)
def test_sysctls(mode: str, asked: dict[str, str] | None, made: dict[str, str]) -> None:
    assert spec(HostConfig(network_mode=mode, sysctls=asked))["linux"]["sysctl"] == made


@pytest.mark.parametrize(
    ("mode", "key", "reason"),
    [
        ("host", "net.ipv4.ip_forward", 'sysctl "net.ipv4.ip_forward" not allowed in host network namespace'),
        ("bridge", "kernel.panic", 'sysctl "kernel.panic" is not in a separate kernel namespace'),
        ("bridge", "vm.swappiness", 'sysctl "vm.swappiness" is not in a separate kernel namespace'),
        (
            "bridge",
            "kernel.hostname",
            'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field',
        ),
    ],
)
def test_sysctls_that_would_reach_the_host(mode: str, key: str, reason: str) -> None:
    with pytest.raises(Failed) as caught:
        spec(HostConfig(network_mode=mode, sysctls={key: "1"}))
    assert caught.value.sentence.endswith(f"OCI runtime create failed: crun create failed: {reason}")


def test_limits() -> None:
    resources = spec(HostConfig(memory=64 << 20, nano_cpus=500_000_000, pids_limit=50))["linux"]["resources"]
    assert resources["memory"] == {"limit": 64 << 20, "swap": 128 << 20}
    assert resources["cpu"] == {"period": 100_000, "quota": 50_000}
    assert resources["pids"] == {"limit": 50}
    assert set(spec(HostConfig(pids_limit=-1))["linux"]["resources"]) == {"devices"}
    require_controllers(resources, {"memory", "cpu", "pids"}, version=1)
    with pytest.raises(Unsupported, match="memory limit needs the cgroup controller memory"):
        require_controllers(resources, {"cpu", "pids"}, version=1)


def test_the_rest_of_the_process() -> None:
    one = spec(HostConfig(oom_score_adj=-5), working_dir="/srv", user="web:log", domainname="corp.test")
    assert one["process"]["cwd"] == "/srv"
    assert one["process"]["user"] == {"username": "web:log", "groups": []}
    assert one["process"]["oomScoreAdj"] == -5
    assert one["linux"]["sysctl"]["kernel.domainname"] == "corp.test"
    assert {n["type"] for n in one["linux"]["namespaces"]} == {"pid", "mount", "uts", "ipc"}
    assert json.loads(msgspec.json.encode(one)) == one


def test_the_host_hides_its_secrets_and_ours() -> None:
    before = spec()
    masked = mask_host(before, ("/var/lib/netloom",), ("/usr",))
    assert {"/etc/shadow", "/var/lib/netloom"} <= set(masked["linux"]["maskedPaths"])
    assert [one["destination"] for one in masked["mounts"][:3]] == ["/usr", "/root", "/run"]
    assert "/etc/shadow" not in before["linux"]["maskedPaths"]


def test_init_ulimits_and_privileges() -> None:
    host_config = HostConfig(
        init=True,
        ulimits=(Ulimit("nofile", 200, 100), Ulimit("core", -1, -1), Ulimit("nofile", 20, 10)),
        security_opt=("no-new-privileges",),
        group_add=("audio",),
    )
    process = spec(host_config)["process"]
    assert process["args"] == ["/sbin/docker-init", "--", "true"]
    assert process["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "hard": 20, "soft": 10},
        {"type": "RLIMIT_CORE", "hard": (1 << 64) - 1, "soft": (1 << 64) - 1},
    ]
    assert process["noNewPrivileges"]
    assert process["user"] == {"username": "", "groups": ["audio"]}
    # As Docker: where the first process is another's, nobody needs to reap.
    assert spec(HostConfig(init=True, pid_mode="host"))["process"]["args"] == ["true"]


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (Ulimit("bad", 1, 1), "wrong rlimit value: RLIMIT_BAD"),
        (Ulimit("RLIMIT_NOFILE", 1, 1), "wrong rlimit value: RLIMIT_RLIMIT_NOFILE"),
        (Ulimit("nofile", 1, 5), "error setting rlimits for ready process: invalid argument"),
    ],
)
def test_ulimits_that_cannot_be(limit: Ulimit, reason: str) -> None:
    with pytest.raises(Failed) as caught:
        spec(HostConfig(ulimits=(limit,)))
    assert caught.value.sentence.endswith(reason)


@pytest.mark.parametrize(
    ("fields", "shared_memory", "queues"),
    [
        ({}, "tmpfs", True),
        ({"ipc_mode": "shareable"}, "tmpfs", True),
        ({"ipc_mode": "host"}, "bind", True),
        ({"ipc_mode": "none"}, None, True),
        ({"ipc_mode": "container:x"}, None, True),
    ],
)
def test_shared_memory_follows_its_namespace(fields: dict[str, Any], shared_memory: str | None, queues: bool) -> None:
    kinds = {one["destination"]: one["type"] for one in spec(HostConfig(**fields))["mounts"]}
    assert kinds.get("/dev/shm") == shared_memory
    assert ("/dev/mqueue" in kinds) == queues


def test_a_closed_root_closes_what_is_the_hosts() -> None:
    made = spec(HostConfig(readonly_rootfs=True, privileged=True))
    closed = {one["destination"] for one in made["mounts"] if "ro" in one["options"]}
    assert closed == {"/sys", "/sys/fs/cgroup"}
    open_ = spec(HostConfig(security_opt=("writable-cgroups",)))
    assert {one["destination"] for one in open_["mounts"] if "ro" in one["options"]} == {"/sys"}


def test_hosts_own_name_and_paths_of_ones_own() -> None:
    made = spec(HostConfig(uts_mode="host", masked_paths=(), readonly_paths=("/proc/x",)))
    assert "hostname" not in made
    assert (made["linux"]["maskedPaths"], made["linux"]["readonlyPaths"]) == ([], ["/proc/x"])


@pytest.mark.parametrize(
    ("fields", "key", "reason"),
    [
        ({"ipc_mode": "host"}, "kernel.shmmax", 'sysctl "kernel.shmmax" is not allowed in the hosts ipc namespace'),
        ({"uts_mode": "host"}, "kernel.domainname", 'sysctl "kernel.domainname" is not in a separate kernel namespace'),
    ],
)
def test_sysctls_of_namespaces_that_are_the_hosts(fields: dict[str, Any], key: str, reason: str) -> None:
    with pytest.raises(Failed) as caught:
        spec(HostConfig(sysctls={key: "1"}, **fields))
    assert caught.value.sentence.endswith(reason)
    spec(HostConfig(sysctls={key: "1"}))
