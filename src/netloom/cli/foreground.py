"""A container in the foreground: attach, start, carry, and its exit status."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from netloom.cli import terminal
from netloom.cli.carrying import Carrier
from netloom.cli.client import Answer, Client, segment
from netloom.cli.detach import parse_keys
from netloom.cli.errors import CliError

# All that docker passes on; the ones left out stop, continue, resize or belong to this process itself.
PROXIED = frozenset(
    (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)
)


class Foreground:
    """One start of one container, attached."""

    def __init__(
        self,
        client: Client,
        container: str,
        *,
        tty: bool,
        stdin: bool,
        outputs: Sequence[str],
        proxy_signals: bool,
        detach_keys: str,
        removed: bool,
    ) -> None:
        """`outputs` of stdout and stderr; `removed` when the daemon removes the container after its end."""
        self._client = client
        self._path = f"/containers/{segment(container)}"
        self._tty = tty
        self._stdin = stdin
        self._outputs = outputs
        self._proxy = proxy_signals and not tty
        self._keys = parse_keys(detach_keys)
        self._removed = removed

    def run(self) -> int:
        """Start it and carry until it ends; its exit status, 0 when it was left running by the detach keys."""
        query = {"stream": "1"} | dict.fromkeys((*self._outputs, *(["stdin"] if self._stdin else [])), "1")
        connection, early, _ = self._client.hijack(f"{self._path}/attach", query)
        with contextlib.closing(connection):
            condition = "removed" if self._removed else "next-exit"
            ended = self._client.begin("POST", f"{self._path}/wait", {"condition": condition})
            with ExitStack() as stack:
                if self._tty and self._stdin and sys.stdin.isatty():
                    stack.enter_context(terminal.raw(0))
                self._client.post(f"{self._path}/start")
                self._resize()
                carrier = Carrier(
                    connection,
                    early,
                    tty=self._tty,
                    stdin=self._stdin,
                    keys=self._keys,
                    on_signal=self._signalled,
                    signals=(PROXIED if self._proxy else frozenset()) | ({signal.SIGWINCH} if self._tty else set()),
                )
                if carrier.run():
                    return 0
        return _exit_status(ended)

    def _signalled(self, number: int) -> None:
        if number == signal.SIGWINCH:
            self._resize()
            return
        # a container that ended a moment ago has no use for it
        with contextlib.suppress(CliError):
            self._client.post(f"{self._path}/kill", query={"signal": signal.Signals(number).name})

    def _resize(self) -> None:
        found = terminal.size(1) if self._tty else None
        if found:
            with contextlib.suppress(CliError):
                self._client.post(f"{self._path}/resize", query={"h": found[0], "w": found[1]})


def _exit_status(ended: Answer) -> int:
    answer = ended.result()
    if answer is None:
        raise CliError("the daemon does not say how the container ended", 125)
    error = answer.get("Error")
    if error and error.get("Message"):
        print(f"Error waiting for container: {error['Message']}", file=sys.stderr)
        return 125
    return int(answer["StatusCode"])
