"""Does the kernel let the firewall judge what a bridge carries? Policies within a network need it."""

from __future__ import annotations

from netloom.engine.core import Core
from netloom.model.errors import Unsupported


async def need_bridge_hooks(core: Core, what: str) -> None:
    """Raise Unsupported naming the module that lacks, and what loading it changes for others."""
    if not await core.worker.call(lambda kernel, _: kernel.hooks_bridges()):
        raise Unsupported(
            f"{what} needs the kernel's br_netfilter, which is not there",
            remedy="modprobe br_netfilter; where other bridges shall not be judged,"
            " set net.bridge.bridge-nf-call-iptables and its like to 0 after that",
        )
