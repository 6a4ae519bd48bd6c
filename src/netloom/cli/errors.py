"""How a command ends without success."""

from __future__ import annotations

GENERAL = 1
NOT_RUN = 125  # the command line or the daemon was at fault: the program in the container never ran
NOT_EXECUTABLE = 126
NOT_FOUND = 127


class CliError(Exception):
    """Ends the command with an exit status; the text goes to standard error, none when empty."""

    def __init__(self, text: str = "", code: int = GENERAL) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class DaemonError(CliError):
    """The daemon refused. `message` is its own sentence, `status` the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(f"Error response from daemon: {message}")
        self.message = message
        self.status = status


class NoDaemon(CliError):
    """Nobody answers at the address."""

    def __init__(self, host: str, reason: str = "") -> None:
        detail = f" ({reason})" if reason else ""
        super().__init__(f"Cannot connect to the netloom daemon at {host}. Is `netloom daemon` running?{detail}")
