"""Every cell is what the documents promise, and where Docker differs there is a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import engines
from .cells import cells
from .differences import DIFFERENCES, unexplained
from .pairs import Pairs, unpaired
from .rules import RULES, answered, broken, expected, rule
from .table import record, recorded, shown

PROMISED = {cell: expected(cell) for cell in cells()}
ANSWERED = answered(PROMISED)
DOCKER = recorded(Path(__file__).with_name("docker.txt").read_text())


@pytest.mark.root
@pytest.mark.kernel
@pytest.mark.timeout(600)
def test_every_cell_on_real_packets() -> None:
    """With bridged packets passing the IP hooks and without; `pytest -s` prints the table."""
    with engines.netloom() as city:
        for bridge_netfilter in (False, True):
            verdicts = city.verdicts(list(PROMISED), ANSWERED, bridge_netfilter=bridge_netfilter)
            wrong = broken(verdicts)
            assert not wrong, "\n".join([f"bridge-nf-call-iptables={int(bridge_netfilter)}", *wrong])
            assert len(verdicts) == len(PROMISED)
            # No cell is denied because its own kernel had no way for it, but where there is no network at all.
            assert {cell.network for cell in city.unsent} == {"none"}
    print(f"\n{shown(verdicts)}")


def test_every_denied_cell_has_an_allowed_one_beside_it() -> None:
    assert unpaired(PROMISED, ANSWERED) == []
    assert len(ANSWERED) > 1000 < len(PROMISED) - len(ANSWERED)


def test_a_pair_is_of_the_same_topology() -> None:
    pairs = Pairs(ANSWERED)
    for cell in PROMISED.keys() - ANSWERED:
        beside = pairs.of(cell)
        assert beside is not None
        assert beside.family == cell.family or not cell.target.startswith("container")


def test_every_rule_is_about_something() -> None:
    assert {r.says for r in RULES} == {rule(cell).says for cell in PROMISED}


def test_where_docker_differs_there_is_a_reason() -> None:
    assert DOCKER.keys() == PROMISED.keys()
    assert unexplained(PROMISED, DOCKER) == []


def test_each_difference_is_documented() -> None:
    rows = (Path(__file__).parents[3] / "docs/differences.md").read_text().splitlines()
    assert [d.why for d in DIFFERENCES if not any(row.endswith(f"| {d.why} |") for row in rows)] == []


def test_a_record_is_read_as_it_was_written() -> None:
    assert recorded(record(PROMISED, "ours")) == PROMISED
