"""What the drivers want, put into a host by the kernel package, without a daemon."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from netloom.firewall.render import load
from netloom.firewall.rules import ruleset
from netloom.kernel.host import HostKernel, Ruleset
from netloom.model.desired import Desired, HostFacts
from netloom.plan.diff import diff
from netloom.testing.hosts import Netns


class Sandbox:
    """A namespace that the kernel package may enter."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns

    def open(self) -> int:
        return os.dup(self._netns.fd)


def put_up(wanted: Callable[[HostFacts], list[Desired]], sandboxes: Mapping[str, Netns]) -> HostFacts:
    """Load the ruleset and apply what is wanted; call it inside the host. The facts of the host before."""
    rules = ruleset()
    kernel = HostKernel(Ruleset(rules.version, load(rules)))
    try:
        kernel.ensure_ruleset()
        facts = kernel.facts()
        kernel.apply(diff(wanted(facts), []), {name: Sandbox(netns) for name, netns in sandboxes.items()})
    finally:
        kernel.close()
    return facts
