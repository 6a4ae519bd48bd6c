"""A container's hosts, hostname and resolv.conf: written at start, followed while its networks change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

from netloom.containers import files as texts
from netloom.containers.files import DnsOverrides, ResolvConf
from netloom.engine.core import Core
from netloom.engine.linking import linked
from netloom.engine.names import has_names
from netloom.model.container import Container
from netloom.model.endpoint import Endpoint
from netloom.model.errors import NotFound
from netloom.model.names import Upstream

NAMES = ("hosts", "hostname", "resolv.conf")
_AS_WRITTEN = "resolv.conf.generated"  # a file that its user has changed is never written again


class SandboxFiles:
    """Texts come from `containers.files`; where they lie is the business of `Files`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def write(self, container: Container, endpoints: Sequence[Endpoint]) -> None:
        """All three, anew, for a container that is about to start. One that shares a sandbox has no own ones."""
        if _shared(container):
            return
        files, config = self._core.files, container.config
        files.write(container.id, "hostname", texts.hostname_text(config.hostname))
        files.write(container.id, "hosts", self._hosts(container, endpoints))
        self._write_resolv_conf(container, self._resolv_conf(container, endpoints))

    def refresh(
        self, container: Container, before: Sequence[Endpoint], after: Sequence[Endpoint], former: dict[str, str]
    ) -> None:
        """Follow a change of networks: own lines come and go, everything that others wrote stays.

        `former` gets the texts of what is rewritten, for `put_back`.

        resolv.conf changes once, when the first network with names is joined, and only if nobody has edited it.
        """
        files = self._core.files
        old, new = self._own(container, before), self._own(container, after)
        text = files.read(container.id, "hosts")
        changed = texts.add_lines(texts.drop_lines(text, [line for line in old if line not in new]), new)
        if changed != text:
            former["hosts"] = text
            files.write(container.id, "hosts", changed)
        if self._named(after) and not self._named(before):
            made = self._resolv_conf(container, after)
            written = files.read(container.id, _AS_WRITTEN)
            if made.text != written == files.read(container.id, "resolv.conf"):
                former |= {"resolv.conf": written, _AS_WRITTEN: written}
                self._write_resolv_conf(container, made)

    def put_back(self, container: Container, former: Mapping[str, str]) -> None:
        """As it was before `refresh`."""
        for name, text in former.items():
            self._core.files.write(container.id, name, text)

    def upstreams(self, container: Container, endpoints: Iterable[Endpoint]) -> tuple[Upstream, ...]:
        """The servers that the container's 127.0.0.11 forwards to, from the host's resolv.conf as it is now."""
        host = self._core.files.host_resolv_conf()
        return _made(host, "internal", self._overrides(container, endpoints)).upstreams

    def paths(self, container: Container) -> dict[str, str]:
        """Where they lie, by name; those of the other container for one that shares its sandbox."""
        if _shared(container):
            ref = container.host_config.network_mode.removeprefix("container:")
            try:
                return self.paths(self._core.tables.container(ref))
            except NotFound:
                return {}
        return {name: self._core.files.path(container.id, name) for name in NAMES}

    def _write_resolv_conf(self, container: Container, made: ResolvConf) -> None:
        self._core.files.write(container.id, "resolv.conf", made.text)
        self._core.files.write(container.id, _AS_WRITTEN, made.text)

    def _resolv_conf(self, container: Container, endpoints: Iterable[Endpoint]) -> ResolvConf:
        endpoints = list(endpoints)
        host = self._core.files.host_resolv_conf()
        overrides = self._overrides(container, endpoints)
        if container.host_config.network_mode == "host":
            return texts.resolv_conf(host, "host", overrides)
        kind = "internal" if self._named(endpoints) else "legacy"
        return _made(host, kind, overrides, ipv6=any(e.ipv6 for e in endpoints))

    def _overrides(self, container: Container, endpoints: Iterable[Endpoint]) -> DnsOverrides:
        """What its user says, else the daemon's; else the servers that came with leases."""
        asked, daemon = container.host_config, self._core.settings
        if not asked.dns and not daemon.dns:
            leased = [server for e in endpoints if e.lease for server in e.lease.terms.name_servers]
            if leased:
                asked = msgspec.structs.replace(asked, dns=tuple(dict.fromkeys(leased)))
        return texts.merged_overrides(
            DnsOverrides(asked.dns or (), asked.dns_search or (), asked.dns_options or ()),
            DnsOverrides(daemon.dns, daemon.dns_search, daemon.dns_options),
        )

    def _hosts(self, container: Container, endpoints: Sequence[Endpoint]) -> str:
        extra = texts.extra_hosts(container.host_config.extra_hosts or (), self._gateways())
        if container.host_config.network_mode == "host":
            return texts.host_mode_hosts(self._core.files.host_file("hosts"), extra)
        return texts.hosts_text([*extra, *self._links(container, endpoints), *self._own(container, endpoints)])

    def _own(self, container: Container, endpoints: Iterable[Endpoint]) -> list[str]:
        addresses = [address for e in endpoints for address in (e.ipv4, e.ipv6)]
        return texts.own_lines(container.config.hostname, container.config.domainname, addresses)

    def _links(self, container: Container, endpoints: Sequence[Endpoint]) -> list[str]:
        """`--link` on the default bridge: a line for the other container, under its alias, short id and name."""
        tables = self._core.tables
        lines = []
        for endpoint in endpoints:
            if tables.networks[endpoint.network].name != "bridge":
                continue
            for target, alias in linked(tables, container):
                other = tables.endpoint(endpoint.network, target.id)
                if other is not None:
                    names = dict.fromkeys((alias, target.config.hostname, target.name))
                    lines.append(f"{other.ipv4.partition('/')[0]}\t{' '.join(names)}")
        return lines

    def _gateways(self) -> tuple[str, ...]:
        """What `host-gateway` stands for: as the daemon was told, else the default bridge's addresses."""
        if self._core.settings.host_gateway_ips:
            return self._core.settings.host_gateway_ips
        bridge = self._core.tables.network_named("bridge")
        return tuple(pool.gateway for pool in bridge.pools) if bridge else ()

    def _named(self, endpoints: Iterable[Endpoint]) -> bool:
        return any(has_names(self._core.tables.networks[e.network]) for e in endpoints)


_made = lru_cache(maxsize=64)(texts.resolv_conf)  # the same few inputs at every connect


def _shared(container: Container) -> bool:
    return container.host_config.network_mode.startswith("container:")
