"""Docker's daemon.json: which keys are taken over, which are of no concern, and which are refused."""

from __future__ import annotations

import json
from typing import Any

from netloom.daemon.options import OPTIONS
from netloom.model.errors import InvalidArgument, Unsupported

TAKEN = {option.key for option in OPTIONS if option.docker}

# Other names of the same thing.
RENAMED = {"host-gateway-ip": "host-gateway-ips"}

# Networking that netloom does not have: allowed only with the value at which it means nothing (None: with none).
REFUSED: dict[str, tuple[object, str]] = {
    "allow-direct-routing": (False, "ports that are not published are never reachable by direct routing"),
    "bridge": (None, "the default bridge is always netloom's own"),
    "bridge-accept-fwmark": (None, "accept marked packets in a table of your own that runs before netloom's"),
    "cluster-advertise": (None, "there is no external key-value store"),
    "cluster-store": (None, "there is no external key-value store"),
    "cluster-store-opts": (None, "there is no external key-value store"),
    "default-gateway-v6": (None, "the default bridge is its own IPv6 gateway"),
    "firewall-backend": ("nftables", "netloom works with nftables alone"),
    "ip6tables": (True, "without firewall rules networks would not be isolated"),
    "iptables": (True, "without firewall rules networks would not be isolated"),
    "network-control-plane-mtu": (1500, "there is no overlay network yet"),
    "node-generic-resources": (None, "there is no swarm"),
    "swarm-default-advertise-addr": ("", "there is no swarm"),
}

# Not networking, Docker's own processes, or true of netloom in any case. Whoever imports them is told once.
IGNORED = set(
    """
    api-cors-header authorization-plugins builder cdi-spec-dirs cgroup-parent containerd containerd-namespace
    containerd-plugin-namespace containerd-plugins-namespace cpu-rt-period cpu-rt-runtime cri-containerd data-root
    default-cgroupns-mode default-ipc-mode default-runtime default-shm-size default-ulimits deprecated-key-path
    dynamic exec-opts exec-root experimental features graph group hosts http-proxy https-proxy init init-path
    insecure-registries ip-forward-no-drop labels live-restore log-driver log-opts max-concurrent-downloads
    max-concurrent-uploads max-download-attempts metrics-addr min-api-version mtls no-new-privileges no-proxy
    oom-score-adjust pidfile proxies raw-logs registry-mirrors rootless runtimes seccomp-profile selinux-enabled
    shutdown-timeout storage-driver storage-opts tls tlscacert tlscert tlskey tlsverify userland-proxy
    userland-proxy-path userns-remap
    """.split()
)


def sift(body: str, file: str) -> tuple[dict[str, Any], list[str]]:
    """The keys to take over with their raw values, and the keys that were passed over.

    Raises InvalidArgument for what Docker would refuse too, Unsupported for networking that netloom does not have.
    """
    try:
        document = json.loads(body, object_pairs_hook=_once) if body.strip() else {}
    except ValueError as error:
        raise InvalidArgument(
            f"unable to configure the daemon with file {file}: invalid JSON: {error}", remedy="mend the file"
        ) from None
    if not isinstance(document, dict):
        raise InvalidArgument(f"unable to configure the daemon with file {file}: it holds no JSON object")
    taken: dict[str, Any] = {}
    passed: list[str] = []
    unknown: list[str] = []
    for key, value in document.items():
        if key == "debug":
            if value:
                taken.setdefault("log-level", "debug")
        elif key in REFUSED:
            _refuse(key, value, file)
        elif (name := RENAMED.get(key, key)) in TAKEN:
            taken[name] = [value] if key in RENAMED and isinstance(value, str) else value
        elif key in IGNORED:
            passed.append(key)
        else:
            unknown.append(key)
    if unknown:
        raise InvalidArgument(
            f"unable to configure the daemon with file {file}: the following directives don't match any configuration "
            f"option: {', '.join(unknown)}",
            remedy="remove them, or correct their spelling",
        )
    return taken, passed


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are unique: of two values one would be lost without a word."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found


def _refuse(key: str, value: object, file: str) -> None:
    harmless, reason = REFUSED[key]
    if value is None or value == harmless or value in ("", [], {}):
        return
    raise Unsupported(
        f"{file}: {key}: {json.dumps(value)} is not supported: {reason}",
        remedy="remove the key, or keep it out of the file that netloom imports",
    )
