"""Elements of our nftables tables, by transaction. What is there already or gone already is success."""

from __future__ import annotations

import errno
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from netloom.kernel import translate
from netloom.kernel.socket import MOST, NetlinkSocket
from netloom.model.desired import Element, Step
from netloom.model.errors import KernelError
from netloom.netlink.message import Message, Verdict
from netloom.plan.steps import subject


def meeting(ones: Sequence[Step], others: Sequence[Step]) -> list[Step]:
    """Those of the ranges `ones` that overlap one of `others`, which do not overlap each other."""
    there: dict[str, list[tuple[bytes, bytes]]] = {}
    for step in others:
        if isinstance(step.what, Element):
            there.setdefault(step.what.set, []).append((step.what.key_data, step.what.key_end))
    for bounds in there.values():
        bounds.sort()
    found = []
    for step in ones if there else ():
        what = step.what
        if isinstance(what, Element) and what.key_end and (bounds := there.get(what.set, [])):
            before = bisect_right(bounds, what.key_end, key=lambda one: one[0])
            if before and bounds[before - 1][1] >= what.key_data:
                found.append(step)
    return found


class _Item(NamedTuple):
    step: Step
    message: Message


def apply(socket: NetlinkSocket, steps: Sequence[Step]) -> None:
    """Run steps on elements, in order, as few transactions as they fit in. Raises KernelError for the first failed.

    A transaction that fails is tried again without what is there or gone already: an element to be deleted that is
    missing is left out; one to be added that stands with other data is replaced.
    """
    for start in range(0, len(steps), MOST // 4):  # a step can become three messages
        items = [item for step in steps[start : start + MOST // 4] for item in _items(step)]
        while items and (failures := socket.transaction([item.message for item in items])):
            items = _without(items, failures)


def _items(step: Step) -> list[_Item]:
    what = step.what
    assert isinstance(what, Element)
    if step.verb == "del":
        return [_Item(step, translate.element(what, add=False))]
    if step.verb == "add":
        return [_Item(step, translate.element(what, add=True))]
    return _replacing(step, what)


def _replacing(step: Step, what: Element) -> list[_Item]:
    return [
        _Item(Step("del", what), translate.element(what, add=False)),
        _Item(step, translate.element(what, add=True)),
    ]


def _without(items: list[_Item], failures: dict[int, Verdict]) -> list[_Item]:
    """What to try next. Raises KernelError when a failure is none of those we know how to take."""
    kept: list[_Item] = []
    for place, item in enumerate(items):
        failure = failures.get(place)
        if failure is None:
            kept.append(item)
        elif item.step.verb == "del" and failure.errno == errno.ENOENT:
            continue
        elif item.step.verb == "add" and failure.errno in (errno.EEXIST, errno.EBUSY):
            assert isinstance(item.step.what, Element)
            kept += _replacing(Step("set", item.step.what), item.step.what)
        else:
            raise KernelError(failure.errno, subject(item.step), detail=failure.text)
    return kept
