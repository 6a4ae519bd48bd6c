"""What Docker 28.5 answered, made again from the model byte for byte."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from netloom.api.container_json import container_json
from netloom.api.container_list import summary_json
from netloom.api.event_stream import event_line
from netloom.api.gotext import parse_rfc3339
from netloom.api.network_json import containers_json, network_json
from netloom.api.respond import json_reply
from netloom.model.container import Container, ContainerConfig, State
from netloom.model.endpoint import Endpoint, EndpointConfig, EndpointIpam, PortBinding
from netloom.model.event import Event
from netloom.model.host_config import HostConfig
from netloom.model.network import IpamConfig, Network

TESTDATA = Path(__file__).parent / "testdata"
NETWORKS = sorted(path.name for path in TESTDATA.glob("network-inspect-*.raw.json"))


def nanos(text: str) -> int:
    value = parse_rfc3339(text)
    assert value is not None
    return 0 if text.startswith("0001") else value


def network_of(golden: dict[str, Any]) -> Network:
    pools = tuple(msgspec.convert(pool, IpamConfig) for pool in golden["IPAM"]["Config"] or ())
    written = golden["Name"] in ("full", "cfg", "fromcfg")
    return Network(
        id=golden["Id"],
        name=golden["Name"],
        created=nanos(golden["Created"]),
        driver=golden["Driver"],
        number=1,
        ipv4=golden["EnableIPv4"],
        ipv6=golden["EnableIPv6"],
        internal=golden["Internal"],
        attachable=golden["Attachable"],
        config_only=golden["ConfigOnly"],
        config_from=golden["ConfigFrom"]["Network"],
        ipam_options=golden["IPAM"]["Options"],
        requested=pools if written else (),
        pools=()
        if golden["ConfigOnly"]
        else tuple(msgspec.structs.replace(p, gateway=p.gateway or "10.44.0.1") for p in pools),
        options=dict(reversed(golden["Options"].items())),
        labels=dict(reversed(golden["Labels"].items())),
    )


def endpoint(network: str, container: str, **fields: Any) -> Endpoint:
    base = {"id": "e" * 64, "number": 1, "host_name": "nl0", "inner_name": "eth0", "inner_index": 2, "mac": ""}
    return Endpoint(network=network, container=container, **(base | fields))


@pytest.mark.parametrize("name", NETWORKS)
def test_network_inspect(name: str) -> None:
    text = (TESTDATA / name).read_bytes()
    golden = json.loads(text)
    names = {key: entry["Name"] for key, entry in golden["Containers"].items()}
    endpoints = [
        endpoint(
            golden["Id"],
            key,
            id=entry["EndpointID"],
            mac=entry["MacAddress"],
            ipv4=entry["IPv4Address"],
            ipv6=entry["IPv6Address"],
        )
        for key, entry in reversed(golden["Containers"].items())
    ]
    shown = network_json(network_of(golden), containers_json(endpoints, names.__getitem__))
    assert json_reply(shown).body.strip() == text.strip()


def test_container_inspect() -> None:
    text = (TESTDATA / "container-inspect-full-a.raw.json").read_text()
    golden = json.loads(text)
    settings = golden["NetworkSettings"]
    full = settings["Networks"]["full"]
    container = Container(
        id=golden["Id"],
        name="full-a",
        created=nanos(golden["Created"]),
        image_id=golden["Image"],
        config=ContainerConfig(hostname="fd026bbb424b", cmd=("sleep", "100000"), image="bb:1"),
        host_config=HostConfig(network_mode="full"),
        networks={
            "full": EndpointConfig(
                ipam=EndpointIpam("10.30.9.9", "fd00:30::99", ("169.254.30.9",)),
                aliases=("alias1", "alias2"),
                driver_opts=full["DriverOpts"],
            )
        },
        state=State(status="running", pid=1733, started=nanos(golden["State"]["StartedAt"])),
        sandbox=settings["SandboxID"],
    )
    network = Network(id=full["NetworkID"], name="full", created=1, driver="bridge", number=1)
    made = endpoint(
        network.id,
        container.id,
        id=full["EndpointID"],
        mac=full["MacAddress"],
        ipv4="10.30.9.9/16",
        ipv6="fd00:30::99/64",
        gateway4="10.30.5.254",
        gateway6="fd00:30::1",
        dns_names=("full-a", "alias1", "alias2", "fd026bbb424b"),
    )
    paths = {key: golden[key] for key in ("ResolvConfPath", "HostnamePath", "HostsPath", "LogPath")}
    paths |= {"SandboxKey": settings["SandboxKey"], **golden["GraphDriver"]["Data"]}
    shown = json_reply(container_json(container, {network.id: made}, paths, {"full": network}.get, None)).body.decode()
    # What netloom is, it says: its runtime is crun, and each container has a cgroup namespace.
    own = text.replace('"Runtime":"runc"', '"Runtime":"crun"').replace(
        '"CgroupnsMode":"host"', '"CgroupnsMode":"private"'
    )
    assert shown.strip() == own.strip()


def test_container_list() -> None:
    text = (TESTDATA / "containers-list.raw.json").read_text()
    golden = json.loads(text)
    now = 1795480032 * 10**9 + 5 * 10**8
    shown = []
    for entry in golden:
        settings = entry["NetworkSettings"]["Networks"]
        networks = {
            name: Network(id=item["NetworkID"], name=name, created=1, driver="bridge", number=1)
            for name, item in settings.items()
        }
        status = entry["State"]
        started = now - (10**9 if entry["Status"] == "Up 1 second" else 1)
        endpoints = {
            item["NetworkID"]: endpoint(
                item["NetworkID"],
                entry["Id"],
                id=item["EndpointID"],
                mac=item["MacAddress"],
                ipv4=f"{item['IPAddress']}/{item['IPPrefixLen']}" if item["IPAddress"] else "",
                ipv6=f"{item['GlobalIPv6Address']}/64" if item["GlobalIPv6Address"] else "",
                gateway4=item["Gateway"],
                gateway6=item["IPv6Gateway"],
                ports=tuple(
                    PortBinding(port["Type"], port["PrivatePort"], port["IP"], port["PublicPort"])
                    for port in reversed(entry["Ports"])
                    if "PublicPort" in port and name == "u1"
                ),
            )
            for name, item in settings.items()
            if item["EndpointID"]
        }
        exposed = {f"{port['PrivatePort']}/{port['Type']}": {} for port in entry["Ports"]}
        container = Container(
            id=entry["Id"],
            name=entry["Names"][0][1:],
            created=entry["Created"] * 10**9 + 7,
            image_id=entry["ImageID"],
            config=ContainerConfig(image="bb:1", cmd=tuple(entry["Command"].split()), exposed_ports=exposed or None),
            host_config=HostConfig(network_mode=entry["HostConfig"]["NetworkMode"]),
            networks={name: EndpointConfig(aliases=("unseen",)) for name in reversed(settings)},
            state=State(
                status=status,
                exit_code=137 if status == "exited" else 0,
                started=started if status != "created" else 0,
                finished=now,
            ),
        )
        shown.append(summary_json(container, container.config.image, endpoints, networks.get, now, (1, 51)))
    assert json_reply(shown).body.decode().strip() == text.strip()


@pytest.mark.parametrize("line", (TESTDATA / "events.raw.jsonl").read_bytes().splitlines())
def test_events(line: bytes) -> None:
    golden = json.loads(line)
    event = Event(
        type=golden["Type"],
        action=golden["Action"],
        id=golden["Actor"]["ID"],
        attributes=dict(reversed(golden["Actor"]["Attributes"].items())),
        time_nano=golden["timeNano"],
    )
    assert event_line(event) == line + b"\n"
