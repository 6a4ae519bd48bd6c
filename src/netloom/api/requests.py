"""Decoded request bodies as model values, with what Docker's API layer itself normalises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from netloom.api.unsupported import refuse_unsupported
from netloom.model.container import ContainerConfig, ContainerRequest, ExecConfig
from netloom.model.endpoint import EndpointConfig, EndpointIpam
from netloom.model.errors import InvalidArgument
from netloom.model.health import HealthConfig
from netloom.model.host_config import SHM_SIZE, HostConfig, LogConfig, PortSpec, RestartPolicy
from netloom.model.network import IpamConfig, NetworkRequest

Body = Mapping[str, Any]

# Keys of HostConfig that need more than a conversion.
_SPECIAL = frozenset(
    "NetworkMode PortBindings RestartPolicy LogConfig ConsoleSize CapAdd CapDrop CgroupnsMode IpcMode PidsLimit "
    "ShmSize Annotations MemorySwappiness".split()
)
_PLAIN = frozenset(field.encode_name for field in msgspec.structs.fields(HostConfig)) - _SPECIAL

_MAC_DEPRECATED = (
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
)


def network_request(body: Body) -> NetworkRequest:
    """POST /networks/create."""
    ipam = body.get("IPAM", {})
    return NetworkRequest(
        name=body.get("Name", ""),
        driver=body.get("Driver", ""),
        scope=body.get("Scope", ""),
        ipv4=body.get("EnableIPv4"),
        ipv6=body.get("EnableIPv6"),
        internal=body.get("Internal", False),
        attachable=body.get("Attachable", False),
        ingress=body.get("Ingress", False),
        config_only=body.get("ConfigOnly", False),
        config_from=body.get("ConfigFrom", {}).get("Network", ""),
        ipam_driver=ipam.get("Driver", ""),
        ipam_options=ipam.get("Options"),
        ipam_config=tuple(
            IpamConfig(
                subnet=entry.get("Subnet", ""),
                ip_range=entry.get("IPRange", ""),
                gateway=entry.get("Gateway", ""),
                aux=entry.get("AuxiliaryAddresses", {}),
            )
            for entry in ipam.get("Config", ())
        ),
        options=body.get("Options", {}),
        labels=body.get("Labels", {}),
    )


def endpoint_config(body: Body | None) -> EndpointConfig:
    """An endpoint's settings; what only Docker's answers carry is ignored, as Docker does."""
    if not body:
        return EndpointConfig()
    ipam = body.get("IPAMConfig")
    return EndpointConfig(
        ipam=None if ipam is None else endpoint_ipam(ipam),
        links=_words(body.get("Links")),
        aliases=_words(body.get("Aliases")),
        driver_opts=body.get("DriverOpts"),
        gw_priority=body.get("GwPriority", 0),
        mac=body.get("MacAddress", ""),
    )


def endpoint_ipam(body: Body) -> EndpointIpam:
    """Addresses asked for."""
    return EndpointIpam(
        ipv4=body.get("IPv4Address", ""),
        ipv6=body.get("IPv6Address", ""),
        link_local=tuple(body.get("LinkLocalIPs", ())),
    )


def container_request(body: Body, name: str, version: tuple[int, int]) -> tuple[ContainerRequest, list[str]]:
    """POST /containers/create: the request and warnings. Raises Unsupported naming what netloom would ignore."""
    if not any(key in body for key in body if key not in ("HostConfig", "NetworkingConfig")):
        raise InvalidArgument("config cannot be empty in order to create a container")
    refuse_unsupported(body)
    host = body.get("HostConfig", {})
    mode = host.get("NetworkMode", "")
    mode = "bridge" if mode in ("", "default") else mode
    networks = _networks(body, mode, version)
    warnings = _container_wide_mac(body.get("MacAddress", ""), mode, networks, version)
    request = ContainerRequest(
        name=name,
        config=_config(body),
        host_config=_host_config(host, mode),
        networks=networks,
        api_version=version,
    )
    return request, warnings


def exec_config(body: Body) -> ExecConfig:
    """POST /containers/ID/exec."""
    command = tuple(body.get("Cmd", ()))
    if not command:
        raise InvalidArgument("No exec command specified")
    return ExecConfig(
        attach_stdin=body.get("AttachStdin", False),
        attach_stdout=body.get("AttachStdout", False),
        attach_stderr=body.get("AttachStderr", False),
        detach_keys=body.get("DetachKeys", ""),
        tty=body.get("Tty", False),
        cmd=command,
        env=_words(body.get("Env")),
        user=body.get("User", ""),
        working_dir=body.get("WorkingDir", ""),
        privileged=body.get("Privileged", False),
        console_size=console_size(body),
    )


def console_size(body: Body) -> tuple[int, int] | None:
    """Height and width; None when not given or zero. A short list is filled up, as Go fills an array."""
    given = body.get("ConsoleSize")
    if not given:
        return None
    height, width = (*given, 0, 0)[:2]
    if max(height, width) > 65535:
        raise InvalidArgument(f"invalid console size {height}x{width}", remedy="each may be at most 65535")
    return (height, width) if height and width else None


def _words(value: list[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


def _config(body: Body) -> ContainerConfig:
    return ContainerConfig(
        hostname=body.get("Hostname", ""),
        domainname=body.get("Domainname", ""),
        user=body.get("User", ""),
        attach_stdin=body.get("AttachStdin", False),
        attach_stdout=body.get("AttachStdout", False),
        attach_stderr=body.get("AttachStderr", False),
        exposed_ports=body.get("ExposedPorts"),
        tty=body.get("Tty", False),
        open_stdin=body.get("OpenStdin", False),
        stdin_once=body.get("StdinOnce", False),
        env=_words(body.get("Env")),
        cmd=_words(body.get("Cmd")),
        healthcheck=msgspec.convert(body["Healthcheck"], HealthConfig) if "Healthcheck" in body else None,
        args_escaped=body.get("ArgsEscaped", False),
        image=body.get("Image", ""),
        volumes=body.get("Volumes"),
        working_dir=body.get("WorkingDir", ""),
        entrypoint=_words(body.get("Entrypoint")),
        network_disabled=body.get("NetworkDisabled", False),
        on_build=_words(body.get("OnBuild")),
        labels=body.get("Labels", {}),
        stop_signal=body.get("StopSignal", ""),
        stop_timeout=body.get("StopTimeout"),
        shell=_words(body.get("Shell")),
    )


def _host_config(host: Body, mode: str) -> HostConfig:
    given = {key: value for key, value in host.items() if key in _PLAIN}
    bindings = host.get("PortBindings")
    restart = host.get("RestartPolicy", {})
    return msgspec.structs.replace(
        msgspec.convert(given, HostConfig),
        network_mode=mode,
        port_bindings=None if bindings is None else {port: _specs(specs) for port, specs in bindings.items()},
        restart_policy=RestartPolicy(restart.get("Name") or "no", restart.get("MaximumRetryCount", 0)),
        log_config=_log_config(host.get("LogConfig") or {}),
        console_size=console_size(host) or (0, 0),
        cap_add=_capabilities(host.get("CapAdd")),
        cap_drop=_capabilities(host.get("CapDrop")),
        cgroupns_mode=host.get("CgroupnsMode") or "private",
        ipc_mode=host.get("IpcMode") or "private",
        pids_limit=limit if (limit := host.get("PidsLimit") or 0) > 0 else None,
        shm_size=host.get("ShmSize") or SHM_SIZE,
        annotations=host.get("Annotations") or None,
        memory_swappiness=None if host.get("MemorySwappiness") == -1 else host.get("MemorySwappiness"),
    )


def _log_config(given: Body) -> LogConfig:
    return LogConfig(given.get("Type") or "json-file", given.get("Config") or {})


def port_specs(given: Body, key: str) -> dict[str, tuple[PortSpec, ...]]:
    """`Add` or `Remove` of a change of ports."""
    return {port: _specs(specs) or () for port, specs in (given.get(key) or {}).items()}


def _specs(specs: list[Body] | None) -> tuple[PortSpec, ...] | None:
    if specs is None:
        return None
    return tuple(PortSpec(spec.get("HostIp", ""), spec.get("HostPort", "")) for spec in specs)


def _capabilities(names: list[str] | None) -> tuple[str, ...] | None:
    """`net_admin` and `NET_ADMIN` mean CAP_NET_ADMIN, `all` means ALL; inspect shows them so."""
    if names is None:
        return None
    out = []
    for name in names:
        upper = name.upper()
        out.append(upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}")
    return tuple(out)


def _networks(body: Body, mode: str, version: tuple[int, int]) -> dict[str, EndpointConfig]:
    asked = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    networks = {("bridge" if name == "default" else name): endpoint_config(item) for name, item in asked.items()}
    if version < (1, 44) and len(networks) > 1:
        raise InvalidArgument(
            f"Container cannot be created with multiple network endpoints: {', '.join(sorted(networks))}"
        )
    return networks


def _container_wide_mac(
    mac: str, mode: str, networks: dict[str, EndpointConfig], version: tuple[int, int]
) -> list[str]:
    """Move Config.MacAddress to the endpoint of the main network; old clients know no other place for it."""
    attachable = mode not in ("host", "none") and not mode.startswith("container:")
    if version < (1, 44):
        for name, item in networks.items():
            networks[name] = _with_mac(item, "")
        if mac and not attachable:
            raise InvalidArgument("conflicting options: mac-address and the network mode")
    if not mac:
        return []
    if attachable:
        endpoint = networks.get(mode, EndpointConfig())
        if endpoint.mac not in ("", mac):
            raise InvalidArgument(
                "the container-wide MAC address must match the endpoint-specific MAC address for the main network, "
                "or be left empty"
            )
        networks[mode] = _with_mac(endpoint, mac)
    return [_MAC_DEPRECATED] if version >= (1, 44) else []


def _with_mac(config: EndpointConfig, mac: str) -> EndpointConfig:
    return EndpointConfig(
        ipam=config.ipam,
        links=config.links,
        aliases=config.aliases,
        driver_opts=config.driver_opts,
        gw_priority=config.gw_priority,
        mac=mac,
    )
