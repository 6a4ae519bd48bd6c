"""How long what somebody breaks stays broken: from the end of the harm until netloom has put it back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable

from bench.engines import Engine, Ours
from bench.figures import Figures
from netloom.testing.hosts import Host

PORT = 20000  # the first that a container of the bench publishes
_DEADLINE = 60.0  # seconds
# As Debian's /etc/nftables.conf, which `systemctl restart nftables` loads.
_DEBIANS = "flush ruleset; add table inet filter; add chain inet filter input { type filter hook input priority 0; }"

HARMS = {
    "ruleset flushed": ("nft", "flush ruleset"),
    "nftables restarted": ("nft", _DEBIANS),
    "table deleted": ("nft", "delete table inet netloom"),
    "chain emptied": ("nft", "flush chain inet netloom from_outside"),
    "rule edited": ("nft", "insert rule inet netloom forward accept"),
    "element deleted": ("nft", f"delete element inet netloom published4 {{ tcp . {PORT} }}"),
    "bridge deleted": ("ip", "link", "del", "BRIDGE"),
    "veth deleted": ("ip", "link", "del", "VETH"),
}


def healing(engine: Engine, figures: Figures, runs: int) -> None:
    """Ours alone: nobody else puts back. Each harm in turn, to a network with one published container."""
    if not isinstance(engine, Ours):
        return
    host = engine.daemon.host
    network = engine.network("first")
    engine.container("nlbench-first", ports=1)
    for run in range(runs + 1):
        for name, command in HARMS.items():
            entry = engine.client.call("GET", f"/networks/{network}?netloom=1")["Containers"].popitem()[1]
            names = {"BRIDGE": f"br-{network[:12]}", "VETH": entry["HostInterface"]}
            before = _state(host, names)
            host.run(*(names.get(word, word) for word in command))
            begun = time.perf_counter()
            _wait(lambda names=names, before=before: _state(host, names) == before, name)  # type: ignore[misc]
            if run:
                figures.add(engine.name, f"healed: {name}", (time.perf_counter() - begun) * 1e3)
            time.sleep(0.3)  # what one repair causes is no part of the next
    engine.wipe()


def _state(host: Host, names: dict[str, str]) -> tuple[str, ...]:
    """Our ruleset and links, without what the kernel numbers anew."""
    rules = _said(host, "nft", "list", "table", "inet", "netloom") + _said(
        host, "nft", "list", "table", "bridge", "netloom"
    )
    links = json.loads(_said(host, "ip", "-j", "addr") or "[]")
    shown = [
        (one["ifname"], one.get("master", ""), "UP" in one["flags"], [a["local"] for a in one["addr_info"]])
        for one in links
        if one["ifname"] in names.values()
    ]
    return "\n".join(sorted(rules.splitlines())), str(sorted(map(str, shown)))


def _said(host: Host, *command: str) -> str:
    return subprocess.run(host.command(*command), capture_output=True, text=True, check=False).stdout


def _wait(done: Callable[[], bool], what: str) -> None:
    deadline = time.perf_counter() + _DEADLINE
    while not done():
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{what}: not put back within {_DEADLINE:.0f} s")
