"""Neighbour discovery, router advertisements and forwarding inside a container are set as Docker 28.5 sets them.

The files are what `cat` said in a container of a running Docker, on its default bridge and on a network with IPv6.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host

pytestmark = pytest.mark.root

TESTDATA = Path(__file__).parent / "testdata"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Host(uplink=True) as host, Daemon(host, tmp_path_factory.mktemp("inside")) as one:
        one.docker("network", "create", "--ipv6", "six")
        yield one


@pytest.mark.parametrize(("network", "file"), [("bridge", "inside-ipv4.sysctls"), ("six", "inside-ipv6.sysctls")])
def test_settings_are_dockers(daemon: Daemon, network: str, file: str) -> None:
    wanted = dict(line.split() for line in (TESTDATA / file).read_text().splitlines())
    script = 'cd /proc/sys/net; while read -r path; do [ -e "$path" ] && echo "$path $(cat "$path")"; done'
    said = daemon.docker("run", "--rm", "-i", "--network", network, "host", "sh", "-c", script, stdin="\n".join(wanted))
    found = dict(line.split() for line in said.splitlines())
    assert len(found) > len(wanted) // 2, "an older kernel lacks some"
    assert found == {path: value for path, value in wanted.items() if path in found}
