"""What somebody changed and was put back: told by event and log, and counted."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from netloom.engine.core import Core
from netloom.engine.reconciler import Reconciler
from netloom.model.desired import Key, Step
from netloom.model.network import Network, Status
from netloom.plan.steps import line

log = logging.getLogger("netloom.engine")

_SHOWN = 8  # steps in one event; a flushed ruleset makes thousands


class Repairs:
    """One event for each network whose objects, or whose containers' objects, were put back; one for all else."""

    def __init__(self, core: Core, reconciler: Reconciler) -> None:
        self._core = core
        self._reconciler = reconciler
        self.count = 0  # objects put back, or taken away because they were nobody's, since the daemon started

    def tell(self, steps: Sequence[Step]) -> None:
        """These steps were needed."""
        self.count += len(steps)
        log.warning("put back what somebody had changed", extra={"steps": _text(steps, len(steps))})
        owners = dict(self._owners())
        by_owner: dict[str, list[Step]] = {}
        for step in steps:
            by_owner.setdefault(owners.get(step.what.key, ""), []).append(step)
        for owner, theirs in by_owner.items():
            self._publish(self._core.tables.networks.get(owner), theirs)

    def _publish(self, network: Network | None, steps: Sequence[Step]) -> None:
        told = {"objects": str(len(steps)), "steps": _text(steps, _SHOWN)}
        if network is None:
            self._core.publish("daemon", "repair", "", **told)
        else:
            self._core.publish("network", "repair", network.id, name=network.name, type=network.driver, **told)

    def _owners(self) -> Iterator[tuple[Key, str]]:
        """Each object that should stand, with its network's id."""
        core = self._core
        for network in core.tables.networks.values():
            if network.status is Status.READY and not network.config_only:
                yield from ((wanted.key, network.id) for wanted in core.network_desired(network))
        for endpoint in self._reconciler.living():
            yield from ((wanted.key, endpoint.network) for wanted in core.endpoint_desired(endpoint))


def _text(steps: Sequence[Step], most: int) -> str:
    lines = [line(step) for step in steps[:most]]
    return "; ".join([*lines, f"and {len(steps) - most} more"] if len(steps) > most else lines)
