from __future__ import annotations

import os
from pathlib import Path

from netloom.model.desired import Step
from netloom.plan import diff_test as samples
from netloom.plan.diff import absent, diff
from netloom.plan.steps import line, listing, subject, table

GOLDEN = Path(__file__).parent / "testdata"


def check(name: str, text: str) -> None:
    """Compare with a golden; NETLOOM_GOLDEN=1 writes it anew, and the difference gets read."""
    path = GOLDEN / name
    if os.environ.get("NETLOOM_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_attach_and_detach() -> None:
    everything = [*samples.NETWORK, *samples.ENDPOINT]
    check("attach.txt", table(diff(everything, [])))
    check("detach.txt", table(absent(everything)))


def test_a_listing_does_not_depend_on_order() -> None:
    everything = [*samples.NETWORK, *samples.ENDPOINT]
    assert listing(everything) == listing(reversed(everything))
    check("listing.txt", listing(everything))


def test_nothing_is_nothing() -> None:
    assert table([]) == listing([]) == ""


def test_single_lines() -> None:
    assert line(Step("add", samples.DEFAULT)) == "add route default dev eth0 in bbbbbbbbbbbb via 172.18.0.1"
    assert line(Step("del", samples.MEMBER)) == f"del element netloom bridges {b'br-1'.hex()}{'00' * 12}"
    assert subject(Step("set", samples.FORWARDING)) == "set sysctl net/ipv4/conf/br-1/forwarding"
