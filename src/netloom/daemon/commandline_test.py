from __future__ import annotations

import json
from pathlib import Path

import pytest

from netloom.daemon.commandline import command
from netloom.daemon.config import Config
from netloom.daemon.toml import show
from netloom.daemon.values import NetworkOption, Pool

EVERYTHING = [
    *("--socket", "/s", "--state-dir", "/st", "--run-dir", "/r", "--group", "adm", "--tcp", "[::1]:2376"),
    *("--tlscacert", "/ca", "--tlscert", "/cert", "--tlskey", "/key", "--bip", "172.30.0.1/16", "--bip6", "fd00::1/64"),
    *("--fixed-cidr", "172.30.1.0/24", "--fixed-cidr-v6", "fd00::/80", "--default-gateway", "172.30.0.9"),
    *("--mtu", "1400", "--ip", "192.0.2.1", "--icc=false", "--ipv6", "--ip-masq=false", "--ip-forward=false"),
    *("--publish", "cooperate"),
    *("--default-address-pool", "base=10.0.0.0/8,size=24", "--default-address-pool", "base=fd01::/48,size=64"),
    *("--default-network-opt", "bridge=com.docker.network.driver.mtu=1300", "--default-network-opt", "bridge=a=b=c"),
    *("--dns", "192.0.2.53", "--dns", "2001:db8::53", "--dns-opt", "ndots:2", "--dns-search", "corp.test"),
    *("--host-gateway-ip", "192.0.2.2", "--log-level", "debug", "--log-format", "json"),
]


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The sentence on stderr of a command line that exits with 1."""
    with pytest.raises(SystemExit) as ended:
        command(arguments)
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_without_a_word_the_defaults_hold() -> None:
    assert command([]) == Config()


def test_every_flag_is_read() -> None:
    config = command(EVERYTHING)
    assert config.tcp == ("::1", 2376)
    assert config.default_address_pools == (Pool("10.0.0.0/8", 24), Pool("fd01::/48", 64))
    assert config.default_network_opts[1] == NetworkOption("bridge", "a", "b=c")
    assert config.dns == ("192.0.2.53", "2001:db8::53")
    defaults = Config()
    same = [name for name in Config.__struct_fields__ if getattr(config, name) == getattr(defaults, name)]
    assert same == ["passed_over"]


def test_the_engine_gets_what_was_asked() -> None:
    settings = command(EVERYTHING).settings(instance="0123abcd", name="host")
    assert settings.default_pools == (("10.0.0.0/8", 24), ("fd01::/48", 64))
    assert settings.host_ip == "192.0.2.1"
    assert settings.fixed_cidr_v6 == "fd00::/80"
    assert not settings.ip_masq


def test_what_validate_prints_is_the_same_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command([*EVERYTHING, "--validate"])
    assert ended.value.code == 0
    file = tmp_path / "daemon.toml"
    file.write_text(capsys.readouterr().out)
    assert command(["--config", str(file)]) == command(EVERYTHING)
    assert show(command(["--config", str(file)])) == file.read_text()


def test_flags_before_toml_before_daemon_json(tmp_path: Path) -> None:
    docker, own = tmp_path / "daemon.json", tmp_path / "daemon.toml"
    docker.write_text(json.dumps({"mtu": 1300, "dns": ["192.0.2.1"], "ip-masq": False}))
    own.write_text(f'mtu = 1400\nip = "192.0.2.7"\ndaemon-json = "{docker}"\n')
    config = command(["--config", str(own), "--ip", "192.0.2.8"])
    assert (config.ip, config.mtu, config.dns, config.ip_masq) == ("192.0.2.8", 1400, ("192.0.2.1",), False)


def test_a_flag_that_quarrels_with_daemon_json_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{"mtu": 1500}')
    assert command(["--daemon-json", str(file), "--mtu", "1500"]).mtu == 1500
    sentence = refusal(capsys, "--daemon-json", str(file), "--mtu", "1400")
    assert "specified both as a flag and in the configuration file: mtu: (from flag: 1400, from file: 1500)" in sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--mtu=x", '--mtu: "x" is not a whole number'),
        ("--mtu=67", "invalid default MTU: 67: --mtu takes 68 to"),
        ("--mtu=1279 --ipv6", "--mtu takes 1280 to"),
        ("--bip=172.30.0.1", "such as 172.30.0.1/16"),
        ("--bip=172.30.0.0/16", "give one such as 172.30.0.1"),
        ("--bip=fd00::1/64", "is not an IPv4 address"),
        ("--bip6=10.0.0.1/8", "is not an IPv6 address"),
        ("--bip=10.0.0.1/16 --fixed-cidr=10.1.0.0/24", "10.1.0.0/24 is not part of --bip's subnet 10.0.0.0/16"),
        ("--bip=10.0.0.1/16 --fixed-cidr=10.0.0.0/8", "is not part of"),
        ("--bip=10.0.0.1/16 --default-gateway=10.1.0.1", "--default-gateway: 10.1.0.1 is not in"),
        ("--fixed-cidr-v6=10.0.0.0/8", "is not an IPv6 subnet"),
        ("--ip=host", '--ip: "host" is not an IP address'),
        ("--icc=maybe", "is neither true nor false"),
        ("--dns=1.1.1", "--dns:"),
        ("--dns-search=-x-", "is not a valid domain"),
        ("--default-address-pool=base=10.0.0.0/8", "base=10.10.0.0/16,size=24"),
        ("--default-address-pool=base=10.0.0.0/8,size=7", "not between 8 and 32"),
        ("--default-address-pool=base=x/8,size=7", "has a base that is not a subnet"),
        (
            "--default-address-pool=base=10.0.0.0/8,size=24 --default-address-pool=base=10.1.0.0/16,size=24",
            "10.1.0.0/16 overlaps 10.0.0.0/8",
        ),
        ("--default-network-opt=bridge=a", "driver=key=value"),
        ("--host-gateway-ip=192.0.2.1 --host-gateway-ip=192.0.2.2", "only one IPv4 host gateway IP address"),
        ("--tcp=192.0.2.1:2376 --tlscert=c", "--tcp needs --tlscacert, --tlskey too"),
        ("--tcp=192.0.2.1:70000", "ADDRESS:PORT"),
        ("--tlscert=c", "there is no TCP socket"),
        (f"--socket=/{'x' * 107}", "108 bytes long"),
        ("--log-level=loud", "debug, info, warn, error, fatal"),
        ("--mt=1400", "unrecognized arguments"),
        ("surplus", "unrecognized arguments: surplus"),
        ("--config=/nowhere/daemon.toml", "/nowhere/daemon.toml cannot be read"),
    ],
)
def test_nonsense_is_refused_by_name(arguments: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sentence in refusal(capsys, *arguments.split())


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("mtu = ", "is not TOML"),
        ("foo = 1", "don't match any configuration option: foo"),
        ('mtu = "1400x"', "mtu: "),
        ("icc = 1", "is neither true nor false"),
    ],
)
def test_a_wrong_file_is_refused_by_name(
    body: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "daemon.toml"
    file.write_text(body)
    said = refusal(capsys, "--config", str(file))
    assert sentence in said
    assert str(file) in said
