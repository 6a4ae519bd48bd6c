"""What each event does to a container's state; times are arguments."""

from __future__ import annotations

import msgspec

from netloom.model.container import State

UNKNOWN = 128  # of a start that failed before there was a program


def started(state: State, pid: int, conmon_pid: int, now: int) -> State:
    """The program runs."""
    return State(status="running", pid=pid, conmon_pid=conmon_pid, started=now, finished=state.finished)


def paused(state: State) -> State:
    """All its processes stand still."""
    return msgspec.structs.replace(state, status="paused")


def resumed(state: State) -> State:
    """They go on."""
    return msgspec.structs.replace(state, status="running")


def exited(state: State, code: int, now: int, *, oom_killed: bool = False) -> State:
    """The program ended; `code` is kept as given, 255 standing for one that nobody knows."""
    return msgspec.structs.replace(
        state,
        status="exited",
        pid=0,
        conmon_pid=0,
        exit_code=255 if code < 0 else code,
        oom_killed=oom_killed,
        finished=now,
        error="" if code >= 0 else "exit code unknown: the container's monitor was killed",
    )


def restarting(state: State) -> State:
    """It has ended (`exited` came before), and waits for its next start."""
    return msgspec.structs.replace(state, status="restarting")


def given_up(state: State) -> State:
    """It waits no longer for its next start."""
    return msgspec.structs.replace(state, status="exited")


def start_failed(state: State, message: str) -> State:
    """The program never ran: a container that ran before is exited again, another is as it was created.

    A failure that tells nothing of the program leaves the code of the former run.
    """
    code = start_failure_code(message)
    return State(
        status="exited" if state.started else "created",
        exit_code=(state.exit_code or code) if code == UNKNOWN else code,
        error=message,
        started=state.started,
        finished=state.finished,
    )


def start_failure_code(message: str) -> int:
    """The exit code that Docker gives to a failed start (moby, daemon/start.go): told from the message's words."""
    text = message.lower()
    if "permission denied" in text:
        return 126
    if "executable file not found" in text or "no such file or directory" in text:
        return 127
    if "is a directory" in text:
        return 126
    return UNKNOWN
