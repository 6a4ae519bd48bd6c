import pytest

from netloom.engine.top import parse
from netloom.model.errors import Failed

PS = """UID          PID    PPID  C STIME TTY          TIME CMD
root           1       0  0 10:00 ?        00:00:01 /sbin/init --quiet
root         812       1  0 10:01 ?        00:00:00 sleep 100
nobody       900     812  0 10:01 ?        00:00:00 sh -c  a   b
"""


def test_only_the_containers_processes_and_the_last_column_whole() -> None:
    titles, rows = parse(PS, {812, 900})
    assert titles == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert [row[1] for row in rows] == ["812", "900"]
    assert rows[1][-1] == "sh -c  a   b"


def test_output_without_pids_is_refused() -> None:
    with pytest.raises(Failed, match="Couldn't find PID field in ps output"):
        parse("USER\nroot\n", {1})
