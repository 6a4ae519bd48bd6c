"""States, exit codes and the STATUS column."""

import pytest

from netloom.containers.lifecycle import (
    SECOND,
    duration,
    exited,
    removing,
    start_failed,
    start_failure_code,
    started,
    status_text,
)
from netloom.model.container import State

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"),
        (0.9, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (MINUTE, "About a minute"),
        (2 * MINUTE - 1, "About a minute"),
        (2 * MINUTE, "2 minutes"),
        (HOUR - 1, "59 minutes"),
        (HOUR, "About an hour"),
        (1.5 * HOUR, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(int(seconds * SECOND)) == text


def test_a_whole_life() -> None:
    state = State()
    assert status_text(state, 0) == "Created"
    state = started(state, 7, 8, 10 * SECOND)
    assert (state.running, state.pid, state.conmon_pid) == (True, 7, 8)
    assert status_text(state, 13 * SECOND) == "Up 3 seconds"
    state = exited(state, 137, 20 * SECOND, oom_killed=True)
    assert (state.running, state.pid, state.exit_code, state.oom_killed, state.error) == (False, 0, 137, True, "")
    assert status_text(state, 140 * SECOND) == "Exited (137) 2 minutes ago"
    state = started(state, 9, 10, 200 * SECOND)
    assert (state.exit_code, state.oom_killed) == (0, False)
    assert status_text(removing(state), 0) == "Removal In Progress"


def test_an_unknown_code_is_not_zero() -> None:
    state = exited(started(State(), 7, 8, 1), -1, 2)
    assert state.exit_code == 255
    assert "unknown" in state.error


def test_a_failed_start_leaves_the_status_as_it_was() -> None:
    failed = start_failed(State(), 'exec: "x": executable file not found in $PATH')
    assert (failed.status, failed.exit_code) == ("created", 127)
    again = start_failed(exited(started(State(), 1, 2, 3), 5, 4), "boom")
    assert (again.status, again.exit_code, again.error, again.started) == ("exited", 128, "boom", 3)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "/etc": is a directory: permission denied', 126),
        ("stat /x: No such file or directory", 127),
        ("x: Is a directory", 126),
        ("no space left on device", 128),
    ],
)
def test_codes_of_failed_starts(message: str, code: int) -> None:
    assert start_failure_code(message) == code
