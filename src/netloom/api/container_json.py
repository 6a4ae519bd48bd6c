"""A container as Docker's JSON (GET /containers/{id}/json), keys in Docker's order.

What netloom does not carry out stands at its constant: Docker's clients read many of these keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import to_builtins

from netloom.api.gotext import rfc3339nano
from netloom.api.host_config_json import host_config_json
from netloom.api.ports_json import ports_json
from netloom.model.container import Container, ContainerConfig, State
from netloom.model.endpoint import Endpoint, EndpointConfig
from netloom.model.health import Health
from netloom.model.mount import MountPoint
from netloom.model.network import Network
from netloom.model.port_keys import exposed_each

FindNetwork = Callable[[str], Network | None]

_GRAPH = ("LowerDir", "MergedDir", "UpperDir", "WorkDir")


def container_json(
    container: Container,
    endpoints: Mapping[str, Endpoint],
    paths: Mapping[str, str],
    find_network: FindNetwork,
    links: Iterable[str] | None,
    exec_ids: list[str] | None = None,
    *,
    version: tuple[int, int] = (1, 51),
    sizes: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """`endpoints` by network id, `paths` as the engine knows them, `links` as inspect shows them, `sizes`: bytes
    written, and of the whole root."""
    if not container.state.started and not container.state.error:
        paths = {key: paths[key] for key in _GRAPH if key in paths}  # the files come with the first start
    command = (*(container.config.entrypoint or ()), *(container.config.cmd or ()))
    shown: dict[str, Any] = {
        "Id": container.id,
        "Created": rfc3339nano(container.created),
        "Path": command[0] if command else "",
        "Args": command[1:],
        "State": state_json(container.state),
        "Image": container.image_id,
        "ResolvConfPath": paths.get("ResolvConfPath", ""),
        "HostnamePath": paths.get("HostnamePath", ""),
        "HostsPath": paths.get("HostsPath", ""),
        "LogPath": paths.get("LogPath", ""),
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": exec_ids or None,
        "HostConfig": host_config_json(container.host_config, links),
        "GraphDriver": {
            "Data": {"ID": container.id, **{key: paths[key] for key in _GRAPH if key in paths}},
            "Name": "overlay2",
        },
    }
    if sizes is not None:
        shown["SizeRw"], shown["SizeRootFs"] = sizes
    shown["Mounts"] = [mount_json(mount) for mount in container.mounts]
    shown["Config"] = config_json(container.config, _main_mac(container))
    settings = network_settings_json(container, endpoints, paths, find_network)
    if version < (1, 45):
        _names_as_aliases(container, settings["Networks"])
    shown["NetworkSettings"] = settings
    return shown


def mount_json(mount: MountPoint) -> dict[str, Any]:
    """One entry of `Mounts`."""
    shown: dict[str, Any] = {"Type": mount.type}
    if mount.name:
        shown["Name"] = mount.name
    shown |= {"Source": mount.source, "Destination": mount.destination}
    if mount.driver:
        shown["Driver"] = mount.driver
    return {**shown, "Mode": mount.mode, "RW": mount.rw, "Propagation": mount.propagation}


def state_json(state: State) -> dict[str, Any]:
    """`State`."""
    shown: dict[str, Any] = {
        "Status": state.status,
        "Running": state.running or state.restarting,
        "Paused": state.paused,
        "Restarting": state.restarting,
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": rfc3339nano(state.started),
        "FinishedAt": rfc3339nano(state.finished),
    }
    if state.health is not None:
        shown["Health"] = health_json(state.health)
    return shown


def health_json(health: Health) -> dict[str, Any]:
    """`Health`."""
    log = [
        {
            "Start": rfc3339nano(probe.start),
            "End": rfc3339nano(probe.end),
            "ExitCode": probe.exit_code,
            "Output": probe.output,
        }
        for probe in health.log
    ]
    return {"Status": health.status, "FailingStreak": health.failing_streak, "Log": log}


def config_json(config: ContainerConfig, mac: str) -> dict[str, Any]:
    """`Config`; `mac` is the one asked for on the main network, shown here for old clients."""
    shown: dict[str, Any] = {
        "Hostname": config.hostname,
        "Domainname": config.domainname,
        "User": config.user,
        "AttachStdin": config.attach_stdin,
        "AttachStdout": config.attach_stdout,
        "AttachStderr": config.attach_stderr,
    }
    if config.exposed_ports:
        shown["ExposedPorts"] = dict(sorted(exposed_each(config.exposed_ports).items()))
    shown |= {
        "Tty": config.tty,
        "OpenStdin": config.open_stdin,
        "StdinOnce": config.stdin_once,
        "Env": config.env,
        "Cmd": config.cmd,
    }
    if config.healthcheck is not None:
        shown["Healthcheck"] = to_builtins(config.healthcheck)
    if config.args_escaped:
        shown["ArgsEscaped"] = True
    shown |= {
        "Image": config.image,
        "Volumes": config.volumes or None,
        "WorkingDir": config.working_dir,
        "Entrypoint": config.entrypoint,
    }
    if config.network_disabled:
        shown["NetworkDisabled"] = True
    if mac:
        shown["MacAddress"] = mac
    shown["OnBuild"] = config.on_build
    shown["Labels"] = dict(sorted(config.labels.items()))
    if config.stop_signal:
        shown["StopSignal"] = config.stop_signal
    if config.stop_timeout is not None:
        shown["StopTimeout"] = config.stop_timeout
    if config.shell:
        shown["Shell"] = config.shell
    return shown


def network_settings_json(
    container: Container, endpoints: Mapping[str, Endpoint], paths: Mapping[str, str], find_network: FindNetwork
) -> dict[str, Any]:
    """`NetworkSettings`; the fields of its head are those of the default bridge, or empty."""
    networks = {
        name: _settings_of(container, name, config, endpoints, find_network)
        for name, config in sorted(container.networks.items())
    }
    bridge = networks.get("bridge", _EMPTY)
    shared = container.host_config.network_mode.startswith("container:")
    running = bool(container.state.running and container.sandbox and not shared)
    return {
        "Bridge": "",
        "SandboxID": container.sandbox if running else "",
        "SandboxKey": paths.get("SandboxKey", f"/proc/{container.state.pid}/ns/net") if running else "",
        "Ports": ports_json(container, endpoints.values()),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": bridge["EndpointID"],
        "Gateway": bridge["Gateway"],
        "GlobalIPv6Address": bridge["GlobalIPv6Address"],
        "GlobalIPv6PrefixLen": bridge["GlobalIPv6PrefixLen"],
        "IPAddress": bridge["IPAddress"],
        "IPPrefixLen": bridge["IPPrefixLen"],
        "IPv6Gateway": bridge["IPv6Gateway"],
        "MacAddress": bridge["MacAddress"],
        "Networks": networks,
    }


def endpoint_json(
    config: EndpointConfig, network: str, endpoint: Endpoint | None, names: Iterable[str] | None
) -> dict[str, Any]:
    """One entry of `Networks`: what was asked, and what stands. `network` is its id, empty before the first start."""
    ipv4, prefix4 = _split(endpoint.ipv4 if endpoint else "")
    ipv6, prefix6 = _split(endpoint.ipv6 if endpoint else "")
    return {
        "IPAMConfig": to_builtins(config.ipam) if config.ipam is not None else None,
        "Links": config.links,
        "Aliases": config.aliases,
        "MacAddress": endpoint.mac if endpoint else "",
        "DriverOpts": config.driver_opts,
        "GwPriority": config.gw_priority,
        "NetworkID": network,
        "EndpointID": endpoint.id if endpoint else "",
        "Gateway": endpoint.gateway4 if endpoint else "",
        "IPAddress": ipv4,
        "IPPrefixLen": prefix4,
        "IPv6Gateway": endpoint.gateway6 if endpoint else "",
        "GlobalIPv6Address": ipv6,
        "GlobalIPv6PrefixLen": prefix6,
        "DNSNames": list(names) if names else None,
    }


def _settings_of(
    container: Container,
    name: str,
    config: EndpointConfig,
    endpoints: Mapping[str, Endpoint],
    find_network: FindNetwork,
) -> dict[str, Any]:
    network = find_network(name)
    endpoint = endpoints.get(network.id) if network is not None else None
    if endpoint is not None:
        return endpoint_json(config, endpoint.network, endpoint, endpoint.dns_names)
    if not container.state.started:
        return endpoint_json(config, "", None, None) | {"MacAddress": config.mac}
    return endpoint_json(config, config.network_id, None, _names(container, name, config))


def _names(container: Container, network: str, config: EndpointConfig) -> tuple[str, ...] | None:
    """The names that a stopped container had, and will have again, on a network that resolves names."""
    if network in ("bridge", "host", "none"):
        return None
    names = (container.name, *(config.aliases or ()), container.short_id, container.config.hostname)
    return tuple(dict.fromkeys(filter(None, names)))


def _names_as_aliases(container: Container, networks: Mapping[str, dict[str, Any]]) -> None:
    """Before API 1.45 there was no DNSNames: the short id and the hostname stood among the aliases."""
    for name, settings in networks.items():
        if name not in ("bridge", "host", "none"):
            names = (*(settings["Aliases"] or ()), container.short_id, container.config.hostname)
            settings["Aliases"] = list(dict.fromkeys(filter(None, names)))


def _main_mac(container: Container) -> str:
    mode = container.host_config.network_mode  # a name, or an id or the beginning of one
    by_id = (one for one in container.networks.values() if one.network_id.startswith(mode))
    main = container.networks.get(mode) or next(by_id, None)
    return main.mac if main is not None else ""


def _split(address: str) -> tuple[str, int]:
    ip, _, prefix = address.partition("/")
    return ip, int(prefix or 0)


_EMPTY = endpoint_json(EndpointConfig(), "", None, None)
