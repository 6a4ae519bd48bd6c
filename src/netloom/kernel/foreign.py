"""Other firewalls of this host: looked at with `nft`, passed with their owner's own tool."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Sequence

from netloom.firewall.foreign import LOOK, Drop, drops
from netloom.model.desired import PassedDrop
from netloom.model.errors import Failed, Unavailable

_PATIENCE = 10  # seconds; `-w` of iptables waits for its lock


def look() -> list[Drop]:
    """Chains of others that drop what is forwarded. Runs in the calling thread's network namespace."""
    return drops(_run(LOOK).stdout)


def settle(drop: Drop, stay: Collection[str], leave: Collection[str], *, wanted: bool) -> PassedDrop:
    """Pass this chain, or no more; bridges stay in a zone that accepts, or leave it.

    Raises Failed with the tool's words.
    """
    if not drop.zoned:
        return PassedDrop(drop.owner, drop.chain, drop.remedy, changed=let_pass(drop, wanted=wanted))
    from netloom.kernel import firewalld  # noqa: PLC0415 — 1.4 MB that only a host with firewalld needs

    try:
        changed = firewalld.bind(stay, leave)
    except (Failed, Unavailable) as error:
        return PassedDrop(drop.owner, drop.chain, f"{drop.remedy} ({error})", changed=False)
    return PassedDrop(drop.owner, drop.chain, "", changed=changed)


def let_pass(drop: Drop, *, wanted: bool) -> bool:
    """Put the marked rule there, or take it away; True when something changed. Raises Failed with the tool's words."""
    if not drop.add:
        return False
    stands = _run(drop.check, check=False).returncode == 0
    if stands == wanted:
        return False
    _run(drop.add if wanted else drop.remove)
    return True


def _run(command: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except FileNotFoundError as error:
        raise Unavailable(f"there is no {command[0]} on this host", remedy=f"install {command[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} did not end within {_PATIENCE} s") from error
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done
