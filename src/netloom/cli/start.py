"""`netloom start`."""

from __future__ import annotations

import sys

from netloom.cli.client import Client, segment
from netloom.cli.detach import DEFAULT_KEYS
from netloom.cli.errors import GENERAL, CliError, DaemonError
from netloom.cli.flags import Arguments, Flag, Usage
from netloom.cli.foreground import Foreground
from netloom.cli.several import each

USAGE = Usage(
    "start",
    "CONTAINER [CONTAINER...]",
    1,
    -1,
    "Start one or more stopped containers",
    (
        Flag("attach", "a", "bool", "Attach STDOUT/STDERR and forward signals"),
        Flag("detach-keys", help="Override the key sequence for detaching a container"),
        Flag("interactive", "i", "bool", "Attach container's STDIN"),
    ),
)


def main(client: Client, arguments: Arguments) -> int:
    """Start each; with `--attach` or `--interactive` one, whose exit status is this command's."""
    if arguments.attach or arguments.interactive:
        return _attached(client, arguments)
    failed = each(arguments.words, lambda name: client.post(f"/containers/{segment(name)}/start"))
    if failed:
        sys.stdout.flush()
        print(f"Error: failed to start containers: {', '.join(failed)}", file=sys.stderr)
    return GENERAL if failed else 0


def _attached(client: Client, arguments: Arguments) -> int:
    if len(arguments.words) > 1:
        raise CliError("you cannot start and attach multiple containers at once")
    container = client.get(f"/containers/{segment(arguments.words[0])}/json")
    foreground = Foreground(
        client,
        container["Id"],
        tty=container["Config"]["Tty"],
        stdin=arguments.interactive and container["Config"]["OpenStdin"],
        outputs=("stdout", "stderr"),
        proxy_signals=True,
        detach_keys=arguments.detach_keys or DEFAULT_KEYS,
        removed=container["HostConfig"].get("AutoRemove", False),
    )
    try:
        return foreground.run()
    except DaemonError as error:
        raise CliError(f"{error.text}\nError: failed to start containers: {arguments.words[0]}") from None
