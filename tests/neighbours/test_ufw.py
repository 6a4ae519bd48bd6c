"""Beside a real ufw that denies what is routed."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from programs import Programs, ufw
from traffic import Web, serving

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, eventually

pytestmark = pytest.mark.root


def rules(host: Host) -> str:
    """ufw's, without counters."""
    return "".join(host.run(program, "-S") for program in ("iptables", "ip6tables"))


def test_one_rule_in_its_own_chain_passes_and_goes(host: Host, tmp_path: Path) -> None:
    with Programs(host, tmp_path) as programs, ExitStack() as stack:
        ufw(programs)
        programs.run("ufw", "disable")  # the first time it puts up less
        programs.run("ufw", "--force", "enable")
        before = rules(host)
        assert "-P FORWARD DROP" in before
        daemon = stack.enter_context(Daemon(host, tmp_path / "daemon"))
        web = Web(daemon, stack)
        stack.enter_context(serving(host, 7000))
        eventually(web.passes, what="traffic beside ufw")
        assert host.outside.misses(host.address4, 7000)
        programs.run("ufw", "reload")
        eventually(web.passes, what="traffic after a reload")
        programs.run("ufw", "disable")
        programs.run("ufw", "--force", "enable")
        eventually(web.passes, what="traffic after ufw went and came")
        daemon.docker("rm", "-f", "web")
        daemon.stop()
        assert rules(host) == before
        daemon.start()
