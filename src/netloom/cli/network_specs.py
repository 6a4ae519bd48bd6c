"""`--network` of run and create, short and long, and the flags that go with the first one."""

from __future__ import annotations

from typing import Any

from netloom.cli.errors import NOT_RUN, CliError
from netloom.cli.flags import Arguments

_MIXED = "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
# NetworkMode values that are no network of their own
_MODES = ("bridge", "host", "none", "default", "nat")


def attachments(arguments: Arguments) -> tuple[str, dict[str, dict[str, Any]]]:
    """NetworkMode, and the endpoint's settings for each network. Raises CliError for what contradicts itself."""
    endpoints: dict[str, dict[str, Any]] = {}
    mode = ""
    for spec in arguments.network or ["default"]:
        name, endpoint = _parsed(spec)
        if not mode:
            mode = name
            _apply_flags(name, endpoint, arguments)
        elif name in endpoints:
            raise CliError(f'network "{name}" is specified multiple times', NOT_RUN)
        elif not _user_defined(name):
            raise CliError(_MIXED, NOT_RUN)
        endpoints[name] = endpoint
    if len(endpoints) > 1 and not _user_defined(mode):
        raise CliError(_MIXED, NOT_RUN)
    if mode.startswith("container:"):
        endpoints = {}
    return mode, endpoints


def checked(spec: str) -> str:
    """The value of `--network`, if it can be read; raises ValueError."""
    _parsed(spec)
    return spec


def _user_defined(name: str) -> bool:
    return name not in _MODES and not name.startswith("container:")


def _parsed(spec: str) -> tuple[str, dict[str, Any]]:
    if "=" not in spec:
        return spec, {}
    name = ""
    addresses: dict[str, Any] = {}
    endpoint: dict[str, Any] = {}
    for part in spec.split(","):
        key, equals, value = part.partition("=")
        key, value = key.strip().lower(), value.strip()
        if not equals or not value:
            raise ValueError(f"invalid field {part}: must be a key=value pair")
        match key:
            case "name":
                name = value.lower()
            case "alias":
                endpoint.setdefault("Aliases", []).append(value.lower())
            case "ip":
                addresses["IPv4Address"] = value
            case "ip6":
                addresses["IPv6Address"] = value.lower()
            case "link-local-ip":
                addresses.setdefault("LinkLocalIPs", []).append(value.lower())
            case "mac-address":
                endpoint["MacAddress"] = value.lower()
            case "driver-opt":
                option, _, setting = value.partition("=")
                endpoint.setdefault("DriverOpts", {})[option] = setting
            case "gw-priority":
                endpoint["GwPriority"] = _priority(value)
            case _:
                raise ValueError(f"invalid field key {key}")
    if not name:
        raise ValueError("network name/id is not specified")
    if addresses:
        endpoint["IPAMConfig"] = addresses
    return name, endpoint


def _priority(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError(f'invalid gw-priority: strconv.ParseInt: parsing "{value}": invalid syntax') from None


def _apply_flags(name: str, endpoint: dict[str, Any], arguments: Arguments) -> None:
    """The flags beside `--network` belong to the first network; one that also names them itself is a contradiction."""
    addresses = endpoint.get("IPAMConfig", {})
    for flag, key, where in (
        ("network-alias", "Aliases", endpoint),
        ("ip", "IPv4Address", addresses),
        ("ip6", "IPv6Address", addresses),
        ("link-local-ip", "LinkLocalIPs", addresses),
        ("mac-address", "MacAddress", endpoint),
        ("link", "Links", endpoint),
    ):
        value = getattr(arguments, flag.replace("-", "_"))
        if not value:
            continue
        if key in where:
            raise CliError(f"conflicting options: cannot specify both --{flag} and per-network {key}", NOT_RUN)
        if flag == "link" and not _user_defined(name):
            continue  # links of the default bridge are the container's own, in HostConfig
        if flag == "network-alias" and not _user_defined(name):
            raise CliError("network-scoped aliases are only supported for user-defined networks", NOT_RUN)
        where[key] = value
    if addresses:
        endpoint["IPAMConfig"] = addresses
