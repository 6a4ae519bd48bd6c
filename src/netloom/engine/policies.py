"""Policies come, change and go: store, kernel, standing connections and resolvers together, or nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

from netloom.engine.bridge_hooks import need_bridge_hooks
from netloom.engine.core import Core
from netloom.engine.ports import Kernel
from netloom.engine.tables import Row, decode, gone, policy_row
from netloom.model.container import Container
from netloom.model.desired import Bridge, Desired, Element
from netloom.model.endpoint import Endpoint
from netloom.model.errors import NotFound
from netloom.model.network import Network, Status
from netloom.model.policy import Policy
from netloom.plan.diff import diff
from netloom.policy import parse
from netloom.policy.checks import refuse_unfit
from netloom.policy.judge import Judge
from netloom.policy.labels import carries, label_policy
from netloom.policy.relayed import CLOSED, TRIAL_CLOSED
from netloom.policy.rulebook import Rulebook

_LANE = "policies"


class Policies:
    """One change at a time."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._state = core.policies
        self.resolvers: Callable[[], Awaitable[None]] = _nobody  # tells them what they should know

    def restore(self, rows: Mapping[str, bytes]) -> None:
        """Start-up: what the store says; the comparison that follows makes the kernel agree."""
        self._state.stored = {policy.name: policy for policy in decode(dict(rows), Policy)}
        self._state.become(self._book(self._state.stored), self._living())

    async def apply(self, document: Any, *, dry_run: bool) -> Policy:
        """Put a policy in the place of that of its name. When it returns, it holds for standing connections too."""
        core = self._core
        made = parse.policy(document, created=core.clock.now(), dry_run=dry_run)
        await need_bridge_hooks(core, f"policy {made.name}")
        refuse_unfit(made, {n.name: n for n in core.tables.networks.values()}, self._state.stored.values())
        async with core.lanes.hold(_LANE):
            await self._change({**self._state.stored, made.name: made}, [policy_row(made)])
        core.publish("policy", "apply", made.name, name=made.name, dryRun=str(dry_run).lower())
        return made

    async def remove(self, name: str) -> None:
        """Raises NotFound."""
        core = self._core
        async with core.lanes.hold(_LANE):
            self.get(name)
            await self._change({k: p for k, p in self._state.stored.items() if k != name}, [gone("policies", name)])
        core.publish("policy", "destroy", name, name=name)

    async def follow(self, container: Container, change: Callable[[], None]) -> None:
        """Make a change to the tables by which a container comes, goes or has another name, and what follows from it.

        The change is made whatever fails: what lacks is found by the comparison that follows.
        """
        if not self._state.book.policies and not carries(container.config.labels):
            change()
            return
        async with self._core.lanes.hold(_LANE):
            before = self._objects()
            change()
            try:
                await self._change(self._state.stored, [], before)
            except Exception as error:
                self._core.complain(f"policies could not follow container {container.name}", error)

    def get(self, name: str) -> Policy:
        """Raises NotFound naming what there is."""
        found = self._state.stored.get(name)
        if found is None:
            raise NotFound(f"policy {name} not found", remedy="`netloom policy ls` lists them")
        return found

    def all(self) -> list[Policy]:
        """Those of files by name, then that of containers' labels, if there is one."""
        return sorted(self._state.book.policies, key=lambda policy: (policy.name == parse.LABELS, policy.name))

    async def hits(self) -> dict[str, int]:
        """Connections that were denied, or would have been, by POLICY/ENTRY and by `default/NETWORK`."""
        core = self._core
        counted = await core.worker.call(
            lambda kernel, _: kernel.hits(("deny_ports", "deny_pairs", *_TRIALS, *_CLOSED, *_CLOSED_RELAYED))
        )
        by = dict(self._state.attribution())
        found: dict[str, int] = {}
        bridges = {n.bridge: n.name for n in core.tables.networks.values() if n.bridge}
        relayed = self._state.closed_relayed(self._living())
        for element, hits in counted:
            names = by.get(element, ())
            if element.set in _CLOSED_RELAYED and element in relayed:
                names = (f"{_CLOSED_RELAYED[element.set]}/{relayed[element]}",)
            if element.set in _CLOSED:
                bridge = element.key_data.rstrip(b"\0").decode()
                names = (f"{element.set.replace('closed', 'default')}/{bridges.get(bridge, bridge)}",)
            for name in names:
                found[name] = found.get(name, 0) + hits
        return found

    def _book(self, stored: Mapping[str, Policy]) -> Rulebook:
        own = label_policy((c.id, c.name, c.config.labels) for c in self._core.tables.containers.values())
        return Rulebook([*stored.values(), *([own] if own.entries else [])])

    def _living(self) -> list[Endpoint]:
        """Endpoints that stand or come, without those that go."""
        core = self._core
        standing = [e for on in core.tables.by_network.values() for e in on.values()]
        return [now for e in standing if (now := core.moving.get(e.id, e)).status is not Status.DELETING]

    def _objects(self) -> list[Desired]:
        """Everything that policies say something about. Denials and allowances come before what closes a network."""
        core = self._core
        wanted = list(self._state.stands())
        for endpoint in self._living():
            wanted += self._state.endpoint(endpoint)
        for network in self._networks():
            wanted += [o for o in core.network_desired(network) if isinstance(o, Bridge | Element)]
        return wanted

    def _networks(self) -> Iterable[Network]:
        networks = self._core.tables.networks.values()
        return [n for n in networks if n.bridge and n.status is Status.READY and not n.config_only]

    async def _change(self, stored: Mapping[str, Policy], rows: list[Row], before: list[Desired] | None = None) -> None:
        core, state = self._core, self._state
        former = (state.stored, state.book)
        before = self._objects() if before is None else before
        state.stored = dict(stored)
        state.become(self._book(state.stored), self._living())
        after = self._objects()
        try:
            # Nothing is awaited from `before` to here: who attaches meanwhile is on both sides or on neither.
            await core.worker.run(intents=rows, steps=diff(after, before))
            await core.worker.call(partial(_end, judge=state.judge(core.facts)))
            await self._tell_names(former[1])
        except BaseException:
            state.stored = former[0]
            state.become(former[1], self._living())
            try:
                undone = [
                    policy_row(former[0][key]) if key in former[0] else gone(table, key) for table, key, _ in rows
                ]
                await core.worker.run(intents=undone, steps=diff(self._objects(), after))
                await self.resolvers()
            except Exception as error:
                core.complain("the former policies could not be put back", error)
            raise

    async def _tell_names(self, former: Rulebook) -> None:
        """Resolvers learn which names matter; what was learnt of names that matter no more is forgotten after that."""
        before, now = former.all_names, self._state.book.all_names
        if before != now:
            await self.resolvers()
        if before - now:
            await self._core.worker.call(lambda kernel, _: kernel.forget_names())


_TRIALS = ("trial_deny_ports", "trial_deny_pairs")
_CLOSED = ("closed", "trial_closed")
_CLOSED_RELAYED = {CLOSED: "default", TRIAL_CLOSED: "trial_default"}


async def _nobody() -> None:
    """Nobody resolves yet."""


def _end(kernel: Kernel, rows: object, *, judge: Judge) -> None:
    """Connections that may not be any more."""

    def denied(proto: int, source: str, target: str, port: int, asked: tuple[str, int]) -> bool:
        served = judge.behind(proto, *asked) if judge.elsewhere(target) else None
        return not judge.verdict(proto, source, *(served or (target, port))).allowed

    kernel.end_connections(denied)
