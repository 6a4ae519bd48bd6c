"""What policies denied of late, with the names that the addresses had at that moment."""

from __future__ import annotations

from collections import deque

from netloom.engine.core import Core
from netloom.model.policy import Denial

_KEPT = 1024
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp", 132: "sctp"}


class Denials:
    """The latest ones; `tell` is called for each packet that the kernel logged."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.ring: deque[Denial] = deque(maxlen=_KEPT)

    def tell(self, proto: int, source: str, source_port: int, target: str, target_port: int, *, dry_run: bool) -> None:
        """Keep it, and send it out as an event."""
        core = self._core
        judge = core.policies.judge(core.facts, (source, target))
        if (served := judge.behind(proto, target, target_port)) is not None:
            target, target_port = served
            judge = core.policies.judge(core.facts, (source, target))
        verdict = judge.verdict(proto, source, target, target_port, dry_run=dry_run)
        denial = Denial(
            time_nano=core.clock.now(),
            dry_run=dry_run,
            proto=_PROTOCOLS.get(proto, str(proto)),
            source=source,
            source_port=source_port,
            source_name=self._name(source),
            target=target,
            target_port=target_port,
            target_name=self._name(target),
            entry="" if verdict.allowed else next(iter(verdict.by), ""),
        )
        self.ring.append(denial)
        core.publish(
            "policy",
            "trial" if dry_run else "deny",
            denial.entry or "default",
            protocol=denial.proto,
            source=denial.source_name or source,
            target=denial.target_name or target,
            port=str(target_port),
        )

    def _name(self, address: str) -> str:
        """`web on front`, `host`, or nothing for an address of somebody else."""
        tables = self._core.tables
        for network in tables.networks.values():
            for endpoint in tables.endpoints_on(network.id):
                if address in (endpoint.ipv4.partition("/")[0], endpoint.ipv6.partition("/")[0]):
                    container = tables.containers.get(endpoint.container)
                    return f"{container.name if container else endpoint.container[:12]} on {network.name}"
            if any(pool.gateway == address for pool in network.pools):
                return "host"
        return "host" if address in self._core.facts.addresses else ""
