"""What the data plane is told: names of endpoints, resolvers of sandboxes, held ports, relayed ports."""

from __future__ import annotations

from msgspec import Struct


class NameEntry(Struct, frozen=True):
    """The names of one endpoint in one network. `ptr` is what a reverse look-up says (`web.red`)."""

    network: str
    network_name: str
    endpoint: str
    sandbox: str
    names: tuple[str, ...]
    ptr: str
    ipv4: str = ""
    ipv6: str = ""


class Upstream(Struct, frozen=True):
    """A server to forward to; asked from the host's namespace, or from the sandbox's (`--dns`)."""

    address: str
    from_sandbox: bool = False


class Resolver(Struct, frozen=True):
    """What 127.0.0.11 of one sandbox does with names that are not ours.

    `forward` is False when the sandbox has no gateway (internal networks only): such names get SERVFAIL.
    `links` are names that only this sandbox knows: alias to endpoint id.
    """

    networks: tuple[str, ...]  # ids of the user-defined networks it is on, in the order they are asked
    upstreams: tuple[Upstream, ...] = ()
    forward: bool = True
    links: tuple[tuple[str, str], ...] = ()  # (name, endpoint id)


class HeldPort(Struct, frozen=True):
    """A published port that is held by a bound, silent socket in the host's namespace. `owner`: endpoint id.

    `target` and `target_port` (the container's) only complete the sentence of a refusal. A port with a `sandbox` is
    released by itself when that sandbox ends.
    """

    owner: str
    proto: str
    ip: str
    port: int
    target: str = ""
    target_port: int = 0
    sandbox: str = ""


class Relay(Struct, frozen=True):
    """A port on [::1] or an IPv6 host address, relayed to an IPv4-only endpoint. `owner`: endpoint id."""

    owner: str
    proto: str
    ip: str  # "::" for any
    port: int
    target: str
    target_port: int
    sandbox: str = ""  # released by itself when that sandbox ends


class DataPlaneState(Struct, frozen=True):
    """Everything that a data-plane process holds; compared and synchronised at a daemon's start."""

    sandboxes: tuple[str, ...] = ()
    entries: tuple[NameEntry, ...] = ()
    held: tuple[HeldPort, ...] = ()
    relays: tuple[Relay, ...] = ()
    relay_port: int = 0  # TCP port to which relayed connections are redirected; 0: the host has no IPv6
