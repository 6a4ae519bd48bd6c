"""What each event does to a container's state, and how the state reads; times are arguments."""

from __future__ import annotations

import msgspec

from netloom.model.container import State

SECOND = 1_000_000_000


def started(state: State, pid: int, conmon_pid: int, now: int) -> State:
    """The program runs."""
    return State(status="running", pid=pid, conmon_pid=conmon_pid, started=now, finished=state.finished)


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


def start_failed(state: State, message: str) -> State:
    """The program never ran: a container that ran before is exited again, another is as it was created."""
    return State(
        status="exited" if state.started else "created",
        exit_code=start_failure_code(message),
        error=message,
        started=state.started,
        finished=state.finished,
    )


def removing(state: State) -> State:
    """Removal has begun."""
    return msgspec.structs.replace(state, status="removing")


def start_failure_code(message: str) -> int:
    """The exit code that Docker gives to a failed start (moby, daemon/start.go): told from the message's words."""
    text = message.lower()
    if "permission denied" in text:
        return 126
    if "executable file not found" in text or "no such file or directory" in text:
        return 127
    if "is a directory" in text:
        return 126
    return 128


def status_text(state: State, now: int) -> str:
    """The STATUS column of `ps`."""
    if state.status == "running":
        return f"Up {duration(now - state.started)}"
    if state.status == "removing":
        return "Removal In Progress"
    if state.status == "dead":
        return "Dead"
    if not state.started:
        return "Created"
    if not state.finished:
        return ""
    return f"Exited ({state.exit_code}) {duration(now - state.finished)} ago"


def duration(nanoseconds: int) -> str:
    """A length of time as Docker's people read it (docker/go-units, HumanDuration)."""
    seconds = max(0, nanoseconds) // SECOND
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    minutes = seconds // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"
