"""Kinds of links that this kernel may lack: tests that need one are left out, by name, and run where it is."""

from __future__ import annotations

import subprocess
from functools import cache

import pytest

from netloom.testing.hosts import Netns


def need(kind: str) -> None:
    """Skip the test where the kernel has no such links."""
    if lacks(kind):
        pytest.skip(f"this kernel has no {kind}; run it by `make lab`")


@cache
def lacks(kind: str) -> bool:
    """Has this kernel no such links? Asked with the tools of the host, not with ours."""
    with Netns() as box:
        box.run("ip", "link", "add", "below", "type", "veth", "peer", "name", "other")
        extra = ("id", "7") if kind == "vlan" else ()
        below = () if kind == "dummy" else ("link", "below")
        command = box.command("ip", "link", "add", *below, "name", "probe", "type", kind, *extra)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return "Unknown device type" in done.stderr
