"""Docker's answers to create requests, and what is refused beyond them."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from netloom.containers.validate import HOST_PORTS_WARNING, MAC_WARNING, check_name, check_request, split_link
from netloom.model.container import ContainerConfig, ContainerRequest
from netloom.model.endpoint import EndpointConfig
from netloom.model.errors import Failed, InvalidArgument, NetloomError, Unsupported
from netloom.model.host_config import HostConfig, LogConfig, PortSpec, RestartPolicy

GOLDEN = json.loads((Path(__file__).parent / "testdata/creates.json").read_text())

# Answered from what exists (networks, names, images, links), which a request alone does not show.
OTHERS = re.compile(
    "No such|already in use|invalid config for network|multiple network endpoints|Invalid container name"
)
# Docker takes these and drops or fails the port later; refused here.
STRICTER = {
    "host IP invalid": "invalid host IP address",
    "PortBindings without ExposedPorts": "is published and not exposed",
}


def request(body: dict[str, Any]) -> ContainerRequest:
    """A request as the API decodes it."""
    return ContainerRequest(
        config=msgspec.convert({k: v for k, v in body.items() if k != "HostConfig"}, ContainerConfig),
        host_config=msgspec.convert(body.get("HostConfig", {}), HostConfig),
        networks=msgspec.convert(
            (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}, dict[str, EndpointConfig]
        ),
    )


def check(**fields: Any) -> tuple[ContainerRequest, list[str]]:
    config = {k: fields.pop(k) for k in list(fields) if k in ContainerConfig.__struct_fields__}
    return check_request(ContainerRequest(config=ContainerConfig(**config), host_config=HostConfig(**fields)), cpus=2)


@pytest.mark.parametrize("case", GOLDEN, ids=[case["case"] for case in GOLDEN])
def test_golden(case: dict[str, Any]) -> None:
    if case["case"] in STRICTER:
        with pytest.raises(InvalidArgument, match=STRICTER[case["case"]]):
            check_request(request(case["request"]))
    elif case["status"] == 201 or OTHERS.search(case["message"]):
        _, warnings = check_request(request(case["request"]))
        assert warnings == (case["warnings"] or [])
    else:
        with pytest.raises(InvalidArgument) as caught:
            check_request(request(case["request"]))
        assert case["status"] == 400
        assert caught.value.sentence == case["message"]


@pytest.mark.parametrize("name", ["a", "/", "a b", "-x", "_x", "x/y", ".x", "a@b", "", "ab\n", "é1"])
def test_names(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_name(name)
    assert caught.value.sentence == f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"


def test_good_names() -> None:
    for name in ("ab", "a.", "9_", "A-b.c_d"):
        check_name(name)


CONTAINER_LINKS = (
    "conflicting options: container type network can't be used with links. This would result in undefined behavior"
)
UNKNOWN_POLICY = (
    "invalid restart policy: unknown policy 'bad'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
)
PORT = {"80/tcp": (PortSpec(host_port="1"),)}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"network_mode": "container:"}, "invalid network mode: invalid container format container:<name|id>"),
        (
            {"network_mode": "container:x", "links": ("a:b",)},
            CONTAINER_LINKS,
        ),
        (
            {"network_mode": "container:x", "publish_all_ports": True},
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            {"network_mode": "container:x", "exposed_ports": {"80/tcp": {}}},
            "conflicting options: port exposing and the container type network mode",
        ),
        ({"env": ("=c",)}, "invalid environment variable: =c"),
        ({"env": ("",)}, "invalid environment variable: "),
        ({"working_dir": "rel"}, "the working directory 'rel' is invalid, it needs to be an absolute path"),
        ({"stop_signal": "NOPE"}, "invalid signal: NOPE"),
        ({"cap_add": ("nosuch",)}, 'invalid CapAdd: unknown capability: "CAP_NOSUCH"'),
        ({"cap_drop": ("nosuch",)}, 'invalid CapDrop: unknown capability: "CAP_NOSUCH"'),
        ({"memory": 1 << 20}, "Minimum memory limit allowed is 6MB"),
        ({"memory": -1}, "Minimum memory limit allowed is 6MB"),
        (
            {"nano_cpus": 99 * 10**9},
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        ),
        ({"nano_cpus": -1}, "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
        ({"oom_score_adj": 2000}, "Invalid value 2000, range for oom score adj is [-1000, 1000]"),
        ({"shm_size": -1}, "SHM size can not be less than 0"),
        ({"annotations": {"": "x"}}, "invalid Annotations: the empty string is not permitted as an annotation key"),
        (
            {"restart_policy": RestartPolicy("bad")},
            UNKNOWN_POLICY,
        ),
        (
            {"restart_policy": RestartPolicy("always", 3)},
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            {"restart_policy": RestartPolicy("always"), "auto_remove": True},
            "can't create 'AutoRemove' container with restart policy",
        ),
        (
            {"log_config": LogConfig("nope")},
            'error looking up logging plugin nope: plugin "nope" not found',
        ),
        ({"port_bindings": {"80-81/tcp": (PortSpec(host_port="1"),)}}, 'invalid port specification: "80-81"'),
        ({"port_bindings": {"99999/tcp": ()}}, 'invalid port specification: "99999"'),
        ({"port_bindings": {"²/tcp": ()}}, 'invalid port specification: "²"'),
        ({"port_bindings": {"80/tcp": (PortSpec(host_port="90-80"),)}}, 'invalid port specification: "90-80"'),
        ({"port_bindings": {"80/tcp": (PortSpec(host_port="-1"),)}}, 'invalid port specification: "-1"'),
    ],
)
def test_sentences(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(**fields)
    assert caught.value.sentence == sentence


@pytest.mark.parametrize(
    ("fields", "named"),
    [],
)
def test_what_would_be_ignored_is_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(Unsupported, match=f"^{re.escape(named)} is not supported yet"):
        check(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"init": False, "volumes": {}, "log_config": LogConfig(""), "restart_policy": RestartPolicy("")},
        {"port_bindings": {"80/tcp": None}, "exposed_ports": {"80/tcp": {}}},
        {"port_bindings": {"80": (PortSpec("[::1]", "1-2"),)}, "exposed_ports": {"80/tcp": {}}},
        {"exposed_ports": {"x/tcp": {}}},
        {"stop_signal": "SIGRTMIN+3"},
        {"stop_signal": "15"},
        {"extra_hosts": ("x:[::1]", "y:host-gateway")},
        {"pids_limit": -1},
    ],
)
def test_defaults_and_odd_forms_pass(fields: dict[str, Any]) -> None:
    assert check(**fields)[1] == []


def test_capabilities_in_normal_form() -> None:
    made, _ = check(cap_add=("net_admin", "CAP_NET_ADMIN"), cap_drop=("all",))
    assert (made.host_config.cap_add, made.host_config.cap_drop) == (("CAP_NET_ADMIN",), ("ALL",))


def test_host_mode_drops_ports_and_says_so() -> None:
    _, warnings = check(network_mode="host", port_bindings=PORT, exposed_ports={"80/tcp": {}})
    assert warnings == [HOST_PORTS_WARNING]


def test_the_mac_of_the_whole_container_is_the_first_networks() -> None:
    made, warnings = check(mac_address="aa:bb:cc:dd:ee:00", network_mode="net")
    assert made.networks == {"net": EndpointConfig(mac="aa:bb:cc:dd:ee:00")}
    assert warnings == [MAC_WARNING]
    made, _ = check(mac_address="aa:bb:cc:dd:ee:00")
    assert list(made.networks) == ["bridge"]
    made, _ = check(mac_address="aa:bb:cc:dd:ee:00", network_mode="host")
    assert made.networks == {}
    asked = ContainerRequest(
        config=ContainerConfig(mac_address="aa:bb:cc:dd:ee:00"),
        host_config=HostConfig(network_mode="net"),
        networks={"net": EndpointConfig(mac="aa:bb:cc:dd:ee:01")},
        api_version=(1, 43),
    )
    with pytest.raises(InvalidArgument, match="must match the endpoint-specific MAC address"):
        check_request(asked)


@pytest.mark.parametrize(("link", "parts"), [("a:b", ("a", "b")), ("a", ("a", "a")), ("/a:/c/b", ("/a", "b"))])
def test_links(link: str, parts: tuple[str, str]) -> None:
    assert split_link(link) == parts


@pytest.mark.parametrize(
    ("link", "sentence"), [("", "empty string specified for links"), ("a:b:c", "bad format for links: a:b:c")]
)
def test_bad_links(link: str, sentence: str) -> None:
    with pytest.raises(Failed) as caught:
        check(links=(link,))
    assert caught.value.sentence == sentence
    assert isinstance(caught.value, NetloomError)
