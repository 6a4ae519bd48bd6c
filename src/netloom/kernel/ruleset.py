"""The static ruleset: loaded as text when it is absent or of another version; elements are left to transactions."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
from collections.abc import Sequence

from netloom.kernel import namespace
from netloom.kernel.observe import TABLE
from netloom.kernel.socket import NETFILTER, NetlinkSocket
from netloom.model.errors import KernelError, Unavailable
from netloom.netlink import nft

_TIMEOUT = 30  # seconds; a load takes some ten milliseconds


def stands(socket: NetlinkSocket, version: str, families: Sequence[int]) -> bool:
    """Are our tables of these families there, in this version? The version is the name of an empty set in each."""
    return all(
        any(nft.parse_set(body).name == version for body in socket.dump(nft.dump_sets(family, TABLE)))
        for family in families
    )


def said(socket: NetlinkSocket, families: Sequence[int]) -> bytes:
    """A digest of what all chains and rules of ours do: another one when somebody has changed any of them."""
    digest = hashlib.sha256()
    for family in families:
        chains = [b for b in socket.dump(nft.dump_chains(family, TABLE)) if nft.table_of(b) == TABLE]
        rules = socket.dump(nft.dump_rules(family, TABLE))
        digest.update(repr((sorted(map(nft.chain_says, chains)), list(map(nft.rule_says, rules)))).encode())
    return digest.digest()


def meant(text: str, families: Sequence[int]) -> bytes:
    """What `said` tells of this text, loaded where nobody else is."""

    def inside() -> bytes:
        os.close(namespace.unshared())
        load(text)
        with NetlinkSocket(NETFILTER) as socket:
            return said(socket, families)

    return namespace.in_thread(inside)


def load(text: str) -> None:
    """Run `nft -f -` in the namespace of the calling thread: one transaction, all or nothing."""
    try:
        done = subprocess.run(
            ["nft", "-f", "-"], input=text, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except FileNotFoundError:
        raise Unavailable("nft is not installed", remedy="install the package nftables") from None
    except subprocess.TimeoutExpired as error:
        raise KernelError(errno.ETIMEDOUT, "load the nftables ruleset") from error
    if done.returncode != 0:
        raise KernelError(errno.EINVAL, "load the nftables ruleset", detail=done.stderr.strip())
