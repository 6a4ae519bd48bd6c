from pathlib import Path
from typing import Any

import pytest

from netloom.cli.container_request import request
from netloom.cli.errors import CliError
from netloom.cli.flags import read
from netloom.cli.run import USAGE


def body(*argv: str) -> dict[str, Any]:
    arguments = read(USAGE, argv)
    return request(arguments, detached=arguments.detach)


def test_little_asked_is_little_sent() -> None:
    assert body("host") == {
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Image": "host",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkingConfig": {"EndpointsConfig": {"default": {}}},
    }


def test_streams() -> None:
    interactive = body("-it", "host", "sh")
    assert [interactive[key] for key in ("AttachStdin", "OpenStdin", "StdinOnce", "Tty")] == [True] * 4
    detached = body("-dit", "host", "sh")
    assert [detached[key] for key in ("AttachStdin", "AttachStdout", "StdinOnce")] == [False] * 3
    assert detached["OpenStdin"]
    only = body("-a", "stderr", "host")
    assert [only[key] for key in ("AttachStdin", "AttachStdout", "AttachStderr")] == [False, False, True]
    with pytest.raises(CliError, match="valid streams are"):
        body("-a", "x", "host")


def test_program_and_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HERE", "yes")
    monkeypatch.delenv("NOWHERE", raising=False)
    (tmp_path / "env").write_text("# comment\nA=1\n\nHERE\n")
    (tmp_path / "labels").write_text("x=1\ny\n")
    got = body(
        *("-e", "B=2", "-e", "HERE", "-e", "NOWHERE", "--env-file", str(tmp_path / "env")),
        *("--label-file", str(tmp_path / "labels"), "-l", "z=3", "--entrypoint", "/bin/sh", "-w", "/tmp", "-u", "1:2"),
        *("--stop-timeout", "0", "-h", "box", "host", "-c", "true"),
    )
    assert got["Env"] == ["A=1", "HERE=yes", "B=2", "HERE=yes"]
    assert got["Labels"] == {"x": "1", "y": "", "z": "3"}
    assert got["Entrypoint"] == ["/bin/sh"]
    assert got["Cmd"] == ["-c", "true"]
    assert (got["WorkingDir"], got["User"], got["StopTimeout"], got["Hostname"]) == ("/tmp", "1:2", 0, "box")
    with pytest.raises(CliError, match="no such file or directory"):
        body("--env-file", str(tmp_path / "none"), "host")


def test_host_config() -> None:
    got = body(
        *("--rm", "-P", "-p", "8080:80", "--expose", "99", "--dns", "1.1.1.1", "--dns-opt", "ndots:2"),
        *("--add-host", "a:10.0.0.1", "--add-host", "b=[fd00::1]", "--sysctl", "net.ipv4.ip_forward=1"),
        *("--cap-add", "NET_ADMIN", "--restart", "on-failure:3", "--cpus", "1.5", "-m", "64m", "host"),
    )
    assert got["HostConfig"] == {
        "NetworkMode": "default",
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
        "PublishAllPorts": True,
        "AutoRemove": True,
        "Dns": ["1.1.1.1"],
        "DnsOptions": ["ndots:2"],
        "ExtraHosts": ["a:10.0.0.1", "b:fd00::1"],
        "Sysctls": {"net.ipv4.ip_forward": "1"},
        "CapAdd": ["CAP_NET_ADMIN"],
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "NanoCpus": 1_500_000_000,
        "Memory": 64 << 20,
    }
    assert got["ExposedPorts"] == {"99/tcp": {}, "80/tcp": {}}


def test_networks() -> None:
    got = body(
        *("--network", "red", "--network-alias", "web", "--ip", "10.0.0.9", "--mac-address", "02:00:00:00:00:01"),
        *("--network", "name=blue,alias=x,alias=y,ip6=fd00::9,driver-opt=k=v,gw-priority=7,link-local-ip=fe80::7"),
        *("--link", "db", "host"),
    )
    assert got["HostConfig"]["NetworkMode"] == "red"
    assert "MacAddress" not in got
    assert got["NetworkingConfig"]["EndpointsConfig"] == {
        "red": {
            "Aliases": ["web"],
            "MacAddress": "02:00:00:00:00:01",
            "Links": ["db"],
            "IPAMConfig": {"IPv4Address": "10.0.0.9"},
        },
        "blue": {
            "Aliases": ["x", "y"],
            "DriverOpts": {"k": "v"},
            "GwPriority": 7,
            "IPAMConfig": {"IPv6Address": "fd00::9", "LinkLocalIPs": ["fe80::7"]},
        },
    }


def test_volumes() -> None:
    got = body("-v", "/a:/b:ro", "-v", "/anonymous", "host")
    assert got["HostConfig"]["Binds"] == ["/a:/b:ro"]
    assert got["Volumes"] == {"/anonymous": {}}


def test_links_of_the_default_bridge_are_the_containers() -> None:
    got = body("--link", "db:x", "host")
    assert got["HostConfig"]["Links"] == ["db:x"]
    assert got["NetworkingConfig"] == {"EndpointsConfig": {"default": {}}}


def test_joining_a_container_takes_no_endpoint() -> None:
    got = body("--network", "container:db", "host")
    assert got["HostConfig"]["NetworkMode"] == "container:db"
    assert got["NetworkingConfig"] == {"EndpointsConfig": {}}


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("--network", "bridge", "--network-alias", "x"), "aliases are only supported for user-defined networks"),
        (("--mac-address", "zz"), "zz is not a valid mac address"),
        (("--dns", "x"), 'invalid argument "x" for "--dns" flag: IP address is not correctly formatted: x'),
        (("--network", "a", "--network", "a"), 'network "a" is specified multiple times'),
        (("--network", "a", "--network", "host"), "cannot attach both user-defined and non-user-defined"),
        (("--network", "host", "--network", "a"), "cannot attach both user-defined and non-user-defined"),
        (("--network", "name=a,foo=x"), "invalid field key foo"),
        (("--network", "name=a,ip"), "invalid field ip: must be a key=value pair"),
        (("--network", "alias=x"), "network name/id is not specified"),
        (("--network", "name=a,gw-priority=x"), "invalid gw-priority"),
        (("--network", "name=a,ip=10.0.0.1", "--ip", "10.0.0.2"), "cannot specify both --ip and per-network"),
        (("--add-host", "nocolon"), 'bad format for add-host: "nocolon"'),
        (("--restart", "on-failure:x"), "maximum retry count must be an integer"),
        (("--cpus", "x"), "failed to parse x as a rational number"),
    ],
)
def test_refused(argv: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CliError, match=sentence) as caught:
        body(*argv, "host")
    assert caught.value.code == 125
