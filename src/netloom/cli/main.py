"""Finds the command, runs it, and turns its failure into text and exit status."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from netloom import __version__
from netloom.cli.errors import NOT_RUN, CliError

DEFAULT_HOST = "unix:///run/netloom/netloom.sock"


class Entry(NamedTuple):
    """One command: the module that is imported only when it is called, and its line in the list."""

    module: str
    summary: str
    alias_of: str = ""


NETWORK = {
    "connect": Entry("network.connect", "Connect a container to a network"),
    "create": Entry("network.create", "Create a network"),
    "disconnect": Entry("network.disconnect", "Disconnect a container from a network"),
    "dns": Entry("network.dns", "Show what the containers of a network ask of their resolvers"),
    "inspect": Entry("network.inspect", "Display detailed information on one or more networks"),
    "ls": Entry("network.ls", "List networks"),
    "prune": Entry("network.prune", "Remove all unused networks"),
    "rm": Entry("network.rm", "Remove one or more networks"),
    "list": Entry("network.ls", "", alias_of="ls"),
    "remove": Entry("network.rm", "", alias_of="rm"),
}
PORT = {
    "add": Entry("port.add", "Publish ports of a container that stands"),
    "rm": Entry("port.rm", "Withdraw published ports of a container that stands"),
}
POLICY = {
    "apply": Entry("policy.apply", "Put the policy of a file in the place of that of its name"),
    "log": Entry("policy.log", "Show the latest connections that policies denied"),
    "ls": Entry("policy.ls", "List policies"),
    "rm": Entry("policy.rm", "Remove one or more policies"),
    "show": Entry("policy.show", "Show a policy's entries and their hits"),
    "list": Entry("policy.ls", "", alias_of="ls"),
    "inspect": Entry("policy.show", "", alias_of="show"),
    "remove": Entry("policy.rm", "", alias_of="rm"),
}
COMMANDS = {
    "create": Entry("create", "Create a new container"),
    "doctor": Entry("doctor", "Tell what stands in the way of the host's networks, and what helps"),
    "events": Entry("events", "Get real time events from the server"),
    "exec": Entry("execute", "Execute a command in a running container"),
    "inspect": Entry("inspect", "Return low-level information on networks and containers"),
    "kill": Entry("kill", "Kill one or more running containers"),
    "logs": Entry("logs", "Fetch the logs of a container"),
    "ps": Entry("ps", "List containers"),
    "restart": Entry("restart", "Restart one or more containers"),
    "rm": Entry("rm", "Remove one or more containers"),
    "run": Entry("run", "Create and run a new container"),
    "start": Entry("start", "Start one or more stopped containers"),
    "stop": Entry("stop", "Stop one or more running containers"),
    "version": Entry("version", "Show the version of client and daemon"),
}


def run(argv: Sequence[str]) -> int:
    """Run one command line; the exit status."""
    try:
        return _dispatch(list(argv))
    except CliError as error:
        if error.text:
            _flush()
            print(error.text, file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader of our output has gone; whatever is still buffered has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _dispatch(argv: list[str]) -> int:
    host, argv = _global(argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_overview(), end="")
        return 0
    name, rest = argv[0], argv[1:]
    match name:
        case "-v" | "--version":
            print(f"netloom version {__version__}")
            return 0
        case "daemon":
            gc.disable()  # nothing that is imported goes again: a quarter of the time that it takes
            from netloom.daemon.main import main  # noqa: PLC0415 — all of the daemon, wanted by this command alone

            gc.freeze()
            gc.enable()
            return main(rest)
        case "dataplane":
            from netloom.dataplane.main import main as dataplane  # noqa: PLC0415

            return dataplane(rest)
        case "network":
            if not rest or rest[0] in ("--help", "-h", "help"):
                print(_listing("Usage:  netloom network COMMAND\n\nManage networks", NETWORK, "network "), end="")
                return 0
            return _command(host, f"network {rest[0]}", NETWORK.get(rest[0]), rest[1:])
        case "policy":
            if not rest or rest[0] in ("--help", "-h", "help"):
                print(_listing("Usage:  netloom policy COMMAND\n\nManage policies", POLICY, "policy "), end="")
                return 0
            return _command(host, f"policy {rest[0]}", POLICY.get(rest[0]), rest[1:])
        case "port":
            if not rest or rest[0] in ("--help", "-h", "help"):
                print(_listing("Usage:  netloom port COMMAND\n\nManage published ports", PORT, "port "), end="")
                return 0
            return _command(host, f"port {rest[0]}", PORT.get(rest[0]), rest[1:])
    return _command(host, name, COMMANDS.get(name), rest)


def _command(host: str, name: str, entry: Entry | None, argv: list[str]) -> int:
    if entry is None:
        if name.startswith("-"):
            raise CliError(f"unknown flag: {name}\n\nRun 'netloom --help' for more information", NOT_RUN)
        group = name.rpartition(" ")[0]
        usage = f"\n\nUsage:  netloom {group} COMMAND" if group else ""
        raise CliError(
            f"netloom: unknown command: netloom {name}{usage}\n\n"
            f"Run 'netloom {group + ' ' if group else ''}--help' for more information"
        )
    from netloom.cli.call import call  # noqa: PLC0415 — `netloom daemon` needs none of it

    code: int = call(import_module(f"netloom.cli.{entry.module}"), host, argv)
    _flush()
    return code


def _global(argv: list[str]) -> tuple[str, list[str]]:
    """The address of the daemon, and the command line after it."""
    host = os.environ.get("NETLOOM_HOST") or DEFAULT_HOST
    while argv and argv[0].startswith(("-H", "--host")):
        name, equals, value = argv[0].partition("=")
        if equals and name in ("-H", "--host"):
            host, argv = value, argv[1:]
        elif name in ("-H", "--host"):
            if len(argv) < 2:
                raise CliError(f"flag needs an argument: {name}", NOT_RUN)
            host, argv = argv[1], argv[2:]
        elif name.startswith("-H"):
            host, argv = argv[0][2:], argv[1:]
        else:
            break
    return host, argv


def _overview() -> str:
    head = "Usage:  netloom [OPTIONS] COMMAND\n\nContainer networks on the Linux kernel, as docker has them"
    own = {
        "daemon": Entry("", "Run the daemon"),
        "network": Entry("", "Manage networks"),
        "policy": Entry("", "Manage policies: who may reach whom"),
        "port": Entry("", "Manage published ports"),
    }
    options = (
        "\nGlobal Options:\n"
        f"  -H, --host string   Daemon's address (default {DEFAULT_HOST}, or $NETLOOM_HOST)\n"
        "  -v, --version       Print version information and quit\n"
    )
    return _listing(head, dict(sorted((own | COMMANDS).items())), "", options)


def _listing(head: str, entries: dict[str, Entry], group: str, options: str = "") -> str:
    shown = {name: entry for name, entry in entries.items() if not entry.alias_of}
    width = max(map(len, shown))
    lines = [f"  {name:{width}}   {entry.summary}" for name, entry in shown.items()]
    last = f"\nRun 'netloom {group}COMMAND --help' for more information on a command."
    return "\n".join([head, "", "Commands:", *lines]) + "\n" + options + last + "\n"


def _flush() -> None:
    sys.stdout.flush()
