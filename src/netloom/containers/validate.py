"""What a create request must be before anything is touched: Docker's checks, in its order and words."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

import msgspec

from netloom.containers import capabilities, devices, logging, namespaces, resources, security, sysctls
from netloom.containers.files import split_extra_host
from netloom.containers.health import check_health
from netloom.containers.mounts import check_mounts
from netloom.containers.restart import check_policy
from netloom.model.container import ContainerConfig, ContainerRequest
from netloom.model.endpoint import EndpointConfig
from netloom.model.errors import Failed, InvalidArgument
from netloom.model.host_config import HostConfig

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_SIGNALS = frozenset(
    "HUP INT QUIT ILL TRAP ABRT IOT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CLD CONT STOP TSTP TTIN "
    "TTOU URG XCPU XFSZ VTALRM PROF WINCH IO POLL PWR SYS RTMIN RTMAX".split()
)

HOST_PORTS_WARNING = "Published ports are discarded when using host network mode"
MAC_WARNING = (
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
)


def check_name(name: str) -> None:
    """Raise InvalidArgument for a name that Docker would not take either (a leading slash is cut off before)."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


def check_request(request: ContainerRequest, *, cpus: int = 0) -> tuple[ContainerRequest, list[str]]:
    """The request in normal form, and warnings for the caller. `cpus`: how many the host has, 0 for not known."""
    config, host_config = request.config, request.host_config
    _check_mode(config, host_config)
    namespaces.check(config, host_config)
    resources.check(host_config, cpus=cpus)
    devices.check(host_config)
    _check_config(config)
    _check_host_config(host_config)
    check_mounts(host_config)
    _check_unsupported(config, host_config)
    _check_ports(config, host_config)
    warnings = resources.warnings(host_config)
    if host_config.network_mode == "host" and (host_config.port_bindings or host_config.publish_all_ports):
        warnings.append(HOST_PORTS_WARNING)
    networks = dict(request.networks)
    if config.mac_address:
        if request.api_version >= (1, 44):
            warnings.append(MAC_WARNING)
        _move_mac(config.mac_address, host_config.network_mode, networks)
    name = _main(host_config.network_mode, networks)
    host_config, endpoint, told = sysctls.per_interface(
        host_config, networks.get(name, EndpointConfig()), request.api_version
    )
    if told:
        networks[name] = endpoint
        warnings.append(told)
    host_config = msgspec.structs.replace(
        host_config,
        cap_add=_normalized(host_config.cap_add, "CapAdd"),
        cap_drop=_normalized(host_config.cap_drop, "CapDrop"),
        security_opt=security.shown(host_config),
        cgroup_parent=_cgroup_parent(host_config.cgroup_parent),
    )
    return msgspec.structs.replace(request, host_config=host_config, networks=networks), warnings


def _normalized(names: tuple[str, ...] | None, field: str) -> tuple[str, ...] | None:
    return None if names is None else capabilities.normalized(names, field)


def _check_mode(config: ContainerConfig, host_config: HostConfig) -> None:
    """Options that contradict the network mode."""
    mode = host_config.network_mode
    container = mode == "container" or mode.startswith("container:")
    if container and not mode.removeprefix("container").removeprefix(":"):
        raise InvalidArgument("invalid network mode: invalid container format container:<name|id>")
    conflicts = (
        (container and config.hostname, "hostname and the network mode"),
        (
            mode == "host" and host_config.links,
            "host type networking can't be used with links. This would result in undefined behavior",
        ),
        (
            container and host_config.links,
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (container and host_config.dns, "dns and the network mode"),
        (container and host_config.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (
            container and (host_config.port_bindings or host_config.publish_all_ports),
            "port publishing and the container type network mode",
        ),
        (container and config.exposed_ports, "port exposing and the container type network mode"),
    )
    for wrong, what in conflicts:
        if wrong:
            raise InvalidArgument(f"conflicting options: {what}")


def _check_config(config: ContainerConfig) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    for entry in config.env or ():
        if not entry.partition("=")[0]:
            raise InvalidArgument(f"invalid environment variable: {entry}")
        if "\0" in entry:
            raise InvalidArgument("invalid environment variable: it holds a zero byte")
    for argument in (*(config.entrypoint or ()), *(config.cmd or ())):
        if "\0" in argument:
            raise InvalidArgument("invalid command: it holds a zero byte")
    if config.healthcheck is not None:
        check_health(config.healthcheck)
    stop = config.stop_signal.upper().removeprefix("SIG")
    if stop and not stop.isdigit() and stop not in _SIGNALS and not re.fullmatch(r"RT(MIN\+|MAX-)\d+", stop):
        raise InvalidArgument(f"invalid signal: {config.stop_signal}")


def _check_host_config(host_config: HostConfig) -> None:
    for entry in host_config.extra_hosts or ():
        split_extra_host(entry)
    for key in host_config.annotations or {}:
        if not key:
            raise InvalidArgument("invalid Annotations: the empty string is not permitted as an annotation key")
    for link in host_config.links or ():
        split_link(link)
    check_policy(host_config.restart_policy)
    if host_config.auto_remove and host_config.restart_policy.name not in ("", "no"):
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    logging.check(host_config.log_config)
    security.parse(host_config.security_opt)
    _check_storage(host_config)
    capabilities.normalized(host_config.cap_add or (), "CapAdd")
    capabilities.normalized(host_config.cap_drop or (), "CapDrop")


def _check_storage(host_config: HostConfig) -> None:
    for key in host_config.storage_opt or {}:
        if key != "size":
            raise Failed(f"Unknown option {key}")
        raise Failed("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")


def _cgroup_parent(parent: str) -> str:
    """Below the root of each hierarchy, wherever the daemon itself stands."""
    if ".." in parent.split("/"):
        raise InvalidArgument(f"invalid cgroup parent {parent}", remedy="it may not lead out of the hierarchy")
    return parent


def _check_unsupported(config: ContainerConfig, host_config: HostConfig) -> None:
    """What netloom would have to ignore is refused instead."""


def _check_ports(config: ContainerConfig, host_config: HostConfig) -> None:
    exposed = {spec if "/" in spec else f"{spec}/tcp" for spec in config.exposed_ports or {}}
    for key, bindings in (host_config.port_bindings or {}).items():
        port, _, proto = key.partition("/")
        _check_port(port)
        for binding in bindings or ():
            _check_range(binding.host_port)
            _check_address(binding.host_ip, key)
        if f"{port}/{proto or 'tcp'}" not in exposed:
            raise InvalidArgument(
                f'invalid port specification: "{key}" is published and not exposed',
                remedy="name the port in ExposedPorts too",
            )


def _check_port(text: str) -> None:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise InvalidArgument(f'invalid port specification: "{text}"')


def _check_range(text: str) -> None:
    first, dash, last = text.partition("-")
    ports = [first, last] if dash else [first]
    valid = all(port.isascii() and port.isdigit() and int(port) <= 65535 for port in ports)
    if text and (not valid or int(ports[0]) > int(ports[-1])):
        raise InvalidArgument(f'invalid port specification: "{text}"')


def _check_address(text: str, key: str) -> None:
    try:
        if text:
            ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise InvalidArgument(f'invalid port specification: "{key}": invalid host IP address "{text}"') from None


def split_link(link: str) -> tuple[str, str]:
    """Container and alias of one `--link`; without an alias the name stands for both. Raises Failed."""
    if not link:
        raise Failed("empty string specified for links")
    parts = link.split(":")
    if len(parts) > 2:
        raise Failed(f"bad format for links: {link}")
    name = parts[0]
    alias = parts[-1]
    # The engine itself once wrote "/name:/other/alias".
    return (name, alias.rpartition("/")[2]) if name.startswith("/") and len(parts) == 2 else (name, alias)


def _main(mode: str, networks: Mapping[str, EndpointConfig]) -> str:
    """The name by which the request speaks of the network of its mode."""
    name = "bridge" if mode in ("", "default") else mode
    return "default" if name == "bridge" and "default" in networks else name


def _move_mac(mac: str, mode: str, networks: dict[str, EndpointConfig]) -> None:
    """The address of the whole container becomes that of its first network's endpoint."""
    if mode in ("host", "none") or mode.startswith("container:"):
        return
    name = _main(mode, networks)
    config = networks.get(name, EndpointConfig())
    if config.mac and config.mac.lower() != mac.lower():
        raise InvalidArgument(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, "
            "or be left empty"
        )
    networks[name] = msgspec.structs.replace(config, mac=mac)
