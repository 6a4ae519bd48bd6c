"""Every case of Docker's own /etc files, byte for byte."""

import json
from pathlib import Path
from typing import Any

import pytest

from netloom.containers.environment import assemble, with_home
from netloom.containers.files import (
    DnsOverrides,
    add_lines,
    drop_lines,
    extra_hosts,
    host_mode_hosts,
    hostname_text,
    hosts_text,
    merged_overrides,
    own_lines,
    resolv_conf,
    split_extra_host,
)
from netloom.containers.resolvconf import Kind
from netloom.model.errors import Failed, InvalidArgument, Unavailable
from netloom.model.names import Upstream

GOLDEN = json.loads((Path(__file__).parent / "testdata/etc-files.json").read_text())
CASES = {case["case"]: case for case in GOLDEN}
CREATED = [case for case in GOLDEN if case["HostConfig"] is not None]  # the others changed while they ran
HOST = "search corp.test\nnameserver 198.51.100.1\n"  # of the machine on which Docker wrote them
GATEWAYS = ("172.17.0.1",)


def text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def overrides(host_config: dict[str, Any]) -> DnsOverrides:
    return DnsOverrides(*(tuple(host_config.get(key, ())) for key in ("Dns", "DnsSearch", "DnsOptions")))


def kind(mode: str) -> Kind:
    if mode == "host":
        return "host"
    return "legacy" if mode in ("", "none") else "internal"


@pytest.mark.parametrize("case", CREATED, ids=[case["case"] for case in CREATED])
def test_golden(case: dict[str, Any]) -> None:
    host_config, config = case["HostConfig"], case["Config"]
    mode = host_config.get("NetworkMode", "")
    hostname = case["hostname"][0]
    assert hostname_text(hostname) == text(case["hostname"])
    assert resolv_conf(HOST, kind(mode), overrides(host_config)).text == text(case["resolv.conf"])
    extra = extra_hosts(host_config.get("ExtraHosts", ()), GATEWAYS)
    if mode == "host":
        assert host_mode_hosts("", extra) == text(case["hosts"])
        return
    given = [line.split("\t")[0] for line in case["hosts"][6 + len(extra) :]]
    links = ["172.17.0.2\tdb 49141b152752 peer"] if case["case"] == "default --link peer:db" else []
    own = own_lines(hostname, config.get("Domainname", ""), [f"{address}/16" for address in given[len(links) :]])
    assert hosts_text([*extra, *links, *own]) == text(case["hosts"])


@pytest.mark.parametrize("case", CREATED, ids=[case["case"] for case in CREATED])
def test_golden_environment(case: dict[str, Any]) -> None:
    made = with_home(assemble(case["hostname"][0], tty=False, own=case["Config"].get("Env", ())), "/root")
    assert sorted(made) == sorted(line for line in case["env"] if not line.startswith("DB_"))


def test_lines_follow_the_networks_and_other_peoples_stay() -> None:
    before, after, edited, again = (text(CASES[name]["hosts"]) for name in (
        "user, then connected to bridge as well",
        "… then disconnected from user",
        "… user edited hosts+resolv.conf, then connected to user again",
        "… then restarted",
    ))  # fmt: skip
    user, bridge = (own_lines("e7b9ba1eebd1", "", [address]) for address in ("172.18.0.3/16", "172.17.0.3/16"))
    assert add_lines(hosts_text(user), bridge) == before
    assert drop_lines(before, user) == after
    assert drop_lines(after, user) == after
    assert add_lines(after + "1.2.3.4 mine\n", user) == edited
    assert add_lines(edited, user) == edited
    assert hosts_text([*user, *bridge]) == again


def test_a_last_line_without_its_end_is_not_joined() -> None:
    assert add_lines("1.2.3.4 mine", ["5.6.7.8\tx"]) == "1.2.3.4 mine\n5.6.7.8\tx\n"


def test_the_embedded_server_forwards_to_the_host_or_from_inside() -> None:
    assert resolv_conf(HOST, "internal").upstreams == (Upstream("198.51.100.1"),)
    own = resolv_conf(HOST, "internal", DnsOverrides(servers=("9.9.9.9",)))
    assert own.upstreams == (Upstream("9.9.9.9", from_sandbox=True),)
    assert resolv_conf("nameserver 127.0.0.53\n", "internal").upstreams == (Upstream("127.0.0.53"),)
    assert "# NO EXTERNAL NAMESERVERS DEFINED\n" in resolv_conf("", "internal").text
    assert resolv_conf(HOST, "legacy").upstreams == ()


@pytest.mark.parametrize(
    ("host", "ipv6", "servers"),
    [
        ("nameserver 127.0.0.53\nnameserver 192.0.2.1", False, ["192.0.2.1"]),
        ("nameserver 2001:db8::1\nnameserver 192.0.2.1", False, ["192.0.2.1"]),
        ("nameserver 2001:db8::1\nnameserver 192.0.2.1", True, ["2001:db8::1", "192.0.2.1"]),
        ("nameserver 127.0.0.53\nnameserver ::1", False, ["8.8.8.8", "8.8.4.4"]),
        ("", True, ["8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844"]),
    ],
)
def test_the_default_bridge_gets_what_it_can_reach(host: str, ipv6: bool, servers: list[str]) -> None:
    made = resolv_conf(host, "legacy", ipv6=ipv6).text
    assert [line.split()[1] for line in made.splitlines() if line.startswith("nameserver")] == servers
    assert ("# Used default nameservers.\n" in made) == ("8.8.8.8" in servers)


def test_loopback_stays_where_it_was_asked_for() -> None:
    assert "nameserver 127.0.0.1\n" in resolv_conf(HOST, "legacy", DnsOverrides(servers=("127.0.0.1",))).text


def test_what_the_host_has_besides() -> None:
    host = "; old\ndomain old.test\nsearch a.test b.test\noptions edns0 ndots:3\nnameserver x\nsortlist 10.0.0.0\n"
    made = resolv_conf(host, "internal").text
    assert "search a.test b.test\noptions edns0 ndots:3\nsortlist 10.0.0.0\n\n# Based" in made
    assert "# Invalid nameservers: [x]\n" in made
    assert made.endswith("# Option ndots from: host\n")
    assert "options edns0 ndots:0\n" in resolv_conf("options ndots:x edns0", "internal").text


def test_a_server_that_is_no_address() -> None:
    with pytest.raises(Failed, match=r'^bad nameserver address nope: ParseAddr\("nope"\): unable to parse IP$'):
        resolv_conf(HOST, "legacy", DnsOverrides(servers=("nope",)))


def test_the_daemons_options_stand_in_kind_by_kind() -> None:
    daemon = DnsOverrides(("1.1.1.1",), ("d.test",), ("ndots:5",))
    assert merged_overrides(DnsOverrides(search=("own.test",)), daemon) == DnsOverrides(
        ("1.1.1.1",), ("own.test",), ("ndots:5",)
    )


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("nocolon", 'bad format for add-host: "nocolon"'),
        (":1.2.3.4", 'bad format for add-host: ":1.2.3.4"'),
        ("x:y", 'invalid IP address in add-host: "y"'),
        ("x:", 'invalid IP address in add-host: ""'),
    ],
)
def test_extra_hosts_that_are_none(entry: str, sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        split_extra_host(entry)
    assert caught.value.sentence == sentence


def test_host_gateway_is_every_gateway_or_an_error() -> None:
    assert extra_hosts(["gw:host-gateway"], ("10.0.0.1", "fd00::1")) == ["10.0.0.1\tgw", "fd00::1\tgw"]
    with pytest.raises(Unavailable, match="host-gateway"):
        extra_hosts(["gw:host-gateway"], ())
