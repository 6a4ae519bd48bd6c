"""The ruleset as text is read by the nft of Debian 12 and by a newer one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from netloom.firewall.elements import element, network_elements, port_elements
from netloom.firewall.render import load
from netloom.firewall.rules import ruleset
from netloom.kernel.ruleset import said
from netloom.kernel.socket import NETFILTER, NetlinkSocket
from netloom.model.endpoint import PortBinding
from netloom.netlink import nft
from netloom.testing.hosts import Netns

pytestmark = pytest.mark.root

_ROOT = Path(__file__).parent.parent.parent
_FAMILIES = (nft.INET, nft.BRIDGE, nft.IP, nft.IP6)
ELEMENTS = [
    *network_elements("br-red", internal=False),
    *port_elements([PortBinding("tcp", 80, "0.0.0.0", 8080), PortBinding("udp", 53, "::", 53)], "10.0.0.2", "fd00::2"),
    element("guarded_targets", ("nl0123456789ab", "fd00::2")),
]


def own() -> str:
    """The machine's."""
    found = shutil.which("nft")
    assert found is not None
    return found


def newer() -> str:
    """Unpacked beside it; skips where it could not be fetched."""
    found = subprocess.run([_ROOT / "scripts/newer-nft", "--cached"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("no newer nft could be fetched: scripts/newer-nft does it")
    return found.stdout.strip()


def digest() -> bytes:
    with NetlinkSocket(NETFILTER) as socket:
        return said(socket, _FAMILIES)


@pytest.mark.parametrize("cooperate", [False, True], ids=["open", "cooperate"])
@pytest.mark.parametrize("program", [own, newer])
def test_it_is_checked_and_loaded(program: object, cooperate: bool) -> None:
    assert callable(program)
    path = program()
    text = load(ruleset(cooperate=cooperate), ELEMENTS)
    with Netns() as host:
        host.run(path, "-c", "-f", "-", stdin=text)
        assert host.run(path, "list", "tables") == "", "a check changes nothing"
        host.run(path, "-f", "-", stdin=text)
        for name in ("br-red", "10.0.0.2 . 80", "nl0123456789ab"):
            assert name in host.run(path, "list", "ruleset")


@pytest.mark.parametrize("program", [own, newer])
def test_the_same_program_makes_the_same_rules_again(program: object) -> None:
    """What stands is compared with what the same nft makes of the text elsewhere: else it was loaded for ever.

    Two versions need not agree: 1.0.6 swaps the one byte of a protocol in a range, which does nothing.
    """
    assert callable(program)
    digests = set()
    for _ in range(2):
        with Netns() as host:
            host.run(program(), "-f", "-", stdin=load(ruleset(cooperate=True), ELEMENTS))
            digests.add(host.call(digest))
    assert len(digests) == 1
