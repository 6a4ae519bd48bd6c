"""Sysctls of one interface: an option of its network, as clients of former APIs wrote them."""

from __future__ import annotations

import pytest

from netloom.containers.validate import check_request
from netloom.model.container import ContainerConfig, ContainerRequest
from netloom.model.endpoint import SYSCTLS, EndpointConfig
from netloom.model.errors import Failed
from netloom.model.host_config import HostConfig

CONFIG = ContainerConfig(image="host", cmd=("true",))
ETH0 = {"net.ipv4.conf.eth0.log_martians": "1"}


def check(
    sysctls: dict[str, str], *, mode: str = "app", version: tuple[int, int] = (1, 51), opts: str = ""
) -> tuple[ContainerRequest, list[str]]:
    networks = {mode: EndpointConfig(driver_opts={SYSCTLS: opts})} if opts else {}
    host_config = HostConfig(network_mode=mode, sysctls=sysctls)
    return check_request(
        ContainerRequest(config=CONFIG, host_config=host_config, networks=networks, api_version=version)
    )


@pytest.mark.parametrize("key", ["net.ipv4.conf.eth0.log_martians", "net.ipv6.neigh.eth7.x", "net.foo.bar.ethx.a.b"])
def test_an_interface_is_named_by_its_network(key: str) -> None:
    with pytest.raises(Failed) as error:
        check({key: "1"})
    assert error.value.sentence == (
        f"interface specific sysctl setting \"{key}\" must be supplied using driver option '{SYSCTLS}'"
    )


def test_a_client_of_a_former_api_is_told_that_it_was_moved() -> None:
    asked = {**ETH0, "net.ipv4.conf.all.log_martians": "1", "net.ipv6.conf.eth0.accept_ra": "2"}
    made, warnings = check(asked, version=(1, 47), opts="net.ipv4.conf.IFNAME.accept_local=1")
    moved = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=2"
    assert made.networks["app"].driver_opts == {SYSCTLS: f"{moved},net.ipv4.conf.IFNAME.accept_local=1"}
    assert made.host_config.sysctls == {"net.ipv4.conf.all.log_martians": "1"}
    told = "net.ipv4.conf.eth0.log_martians,net.ipv6.conf.eth0.accept_ra"
    assert warnings == [f'Migrated sysctl "{told}" to DriverOpts{{"{SYSCTLS}":"{moved}"}}.']
    made, _ = check(ETH0, mode="default", version=(1, 47))
    assert list(made.networks) == ["bridge"]
    assert made.host_config.sysctls is None
    with pytest.raises(Failed, match=r"^unable to determine network endpoint for sysctl net\.ipv4\.conf\.eth1\.a, use"):
        check({"net.ipv4.conf.eth1.a": "1"}, version=(1, 47))


@pytest.mark.parametrize("mode", ["host", "container:web"])
@pytest.mark.parametrize("version", [(1, 47), (1, 51)])
def test_whoever_shares_a_namespace_has_no_endpoint(mode: str, version: tuple[int, int]) -> None:
    made, warnings = check(ETH0, mode=mode, version=version)
    assert (made.host_config.sysctls, made.networks, warnings) == (ETH0, {}, [])


@pytest.mark.parametrize("key", ["net.ipv4.conf.lan0.log_martians", "net.ipv4.conf.default.x", "net.ipv4.conf.eth0"])
def test_any_other_name_is_left_to_the_start(key: str) -> None:
    assert check({key: "1"})[0].host_config.sysctls == {key: "1"}
