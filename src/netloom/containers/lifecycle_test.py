"""States and exit codes."""

import pytest

from netloom.containers.lifecycle import exited, start_failed, start_failure_code, started
from netloom.model.container import State


def test_a_whole_life() -> None:
    state = started(State(), 7, 8, 10)
    assert (state.running, state.pid, state.conmon_pid) == (True, 7, 8)
    state = exited(state, 137, 20, oom_killed=True)
    assert (state.running, state.pid, state.exit_code, state.oom_killed, state.error) == (False, 0, 137, True, "")
    assert (state.started, state.finished) == (10, 20)
    state = started(state, 9, 10, 30)
    assert (state.exit_code, state.oom_killed, state.started, state.finished) == (0, False, 30, 20)


def test_an_unknown_code_is_not_zero() -> None:
    state = exited(started(State(), 7, 8, 1), -1, 2)
    assert state.exit_code == 255
    assert "unknown" in state.error


def test_a_failed_start_leaves_the_status_as_it_was() -> None:
    failed = start_failed(State(), 'exec: "x": executable file not found in $PATH')
    assert (failed.status, failed.exit_code) == ("created", 127)
    again = start_failed(exited(started(State(), 1, 2, 3), 5, 4), "boom")
    assert (again.status, again.exit_code, again.error, again.started) == ("exited", 5, "boom", 3)
    assert start_failed(exited(started(State(), 1, 2, 3), 0, 4), "boom").exit_code == 128


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
