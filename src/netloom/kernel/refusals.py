"""What the kernel refused, as an error that names the step and what to do."""

from __future__ import annotations

import errno

from netloom.drivers.device import STAYS_WITH_ITS_RADIO
from netloom.model.desired import Child, Parent, Port, Shim, Step, Veth
from netloom.model.errors import Exhausted, KernelError
from netloom.netlink.message import Verdict
from netloom.plan.steps import subject

_EXFULL = 54
_MOST_PORTS = 1023  # BR_MAX_PORTS less one


def refusal(step: Step, failure: Verdict) -> Exhausted | KernelError:
    """The error to raise for a step."""
    if failure.errno == _EXFULL and isinstance(step.what, Veth):
        return Exhausted(
            f"{subject(step)}: bridge {step.what.master} has {_MOST_PORTS} ports, the most that the kernel allows",
            remedy="disconnect containers from the network, or put the next ones on another network",
        )
    return KernelError(failure.errno, subject(step), detail=failure.text, remedy=_remedy(step, failure))


def _remedy(step: Step, failure: Verdict) -> str:
    match step.what:
        case Port(link=name) if failure.errno in (errno.EOPNOTSUPP, errno.EBUSY, errno.ELOOP, errno.EINVAL):
            return (
                f"{name} cannot be a port of a bridge: wireless stations cannot, nor what is one of another bridge or"
                " bond, carries macvlan or ipvlan, or is a bridge itself; take the driver ipvlan, or another interface"
            )
        case Parent(base=base) if failure.errno == errno.ENETDOWN:
            return f"{base} is down: ip link set {base} up"
        case Shim(parent=parent, kind=kind) | Child(parent=parent, kind=kind) if failure.errno == errno.EBUSY:
            return (
                f"{parent} is a port of a bridge or a bond, or carries another kind than {kind}; choose another parent"
            )
        case Child(parent=parent, mac=mac) if failure.errno == errno.EADDRINUSE:
            return f"another interface on {parent} has the MAC address {mac}"
        case Child(kind="device", parent=parent) if failure.errno == errno.EINVAL:
            return f"{parent} cannot leave the host's network namespace: {STAYS_WITH_ITS_RADIO}"
        case Child(parent=parent, mode="passthru") if failure.errno == errno.EINVAL:
            return f"{parent} has a container already, and in mode passthru it takes no second one"
        case _:
            return ""
