"""What on this host stands in the way of its networks, as it is now: what `netloom doctor` shows."""

from __future__ import annotations

from functools import partial

from netloom.drivers.parents import MODULES
from netloom.engine.clashes import Clashes
from netloom.engine.core import Core
from netloom.engine.forwarding import Forwarding
from netloom.engine.other_firewalls import OtherFirewalls
from netloom.engine.ports import Kernel
from netloom.firewall.obstacles import strict_filters, switched_off
from netloom.model.desired import LinkKind, Sysctl
from netloom.model.finding import Finding
from netloom.model.network import Network, Status


class Doctor:
    """Looks when asked."""

    def __init__(self, core: Core, clashes: Clashes, others: OtherFirewalls, forwarding: Forwarding) -> None:
        self._core = core
        self._clashes = clashes
        self._others = others
        self._forwarding = forwarding

    async def findings(self) -> list[Finding]:
        """All that there are."""
        found = [*await self._clashes.look(), *await self._others.look()]  # the facts are fresh from here on
        facts = self._core.facts
        switches = [one for one in self._forwarding.stands() if isinstance(one, Sysctl)]
        return [*found, *strict_filters(facts), *switched_off(switches, facts), *await self._modules()]

    async def _modules(self) -> list[Finding]:
        """Of the kernel that runs now, which need not be the one under which a network was created."""
        core = self._core
        needed: dict[LinkKind, Network] = {}
        for network in core.tables.networks.values():
            if network.status is Status.READY and not network.config_only:
                for kind in core.driver(network.driver).needs(network, core.facts):
                    needed.setdefault(kind, network)
        found = [
            _missing(MODULES.get(kind, kind), f"network {network.name}", "its containers do not start")
            for kind, network in needed.items()
            if not await core.worker.call(partial(_supports, kind=kind))
        ]
        if not await core.worker.call(lambda kernel, _: kernel.forgets_connections()):
            effect = "connections through a port that was withdrawn or moved go on until they time out"
            found.append(_missing("nf_conntrack_netlink", "published ports", effect))
        return found


def _missing(module: str, who: str, effect: str) -> Finding:
    return Finding(
        kind="missing module",
        between=(who, f"the running kernel, which has no {module}"),
        effect=effect,
        remedy=f"modprobe {module}; it may be in a package of its own, or of another kernel than the one that runs",
    )


def _supports(kernel: Kernel, rows: object, *, kind: LinkKind) -> bool:
    return kernel.supports(kind)
