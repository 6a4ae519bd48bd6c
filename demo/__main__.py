"""The demo's story, told while it happens; the exit status says whether everything went as told."""

from __future__ import annotations

import sys
from collections.abc import Callable

from demo.nameserver import NAME, nameserver
from demo.stage import stage
from demo.table import table
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import eventually

NETWORKS = {"front": ("web", "app"), "back": ("app", "db", "tool")}
CONTAINERS = ("web", "app", "db", "tool")

# Answers every client with the address it comes from, and logs it: the image `host` has what the machine has.
SERVER = """
import socket
server = socket.create_server(("", 80))
print("web serves port 80", flush=True)
while True:
    connection, (address, port) = server.accept()
    print("answered", address, flush=True)
    connection.sendall(f"{address} {port} web\\n".encode())
    connection.close()
"""


class Story:
    """Runs the docker commands before the reader's eyes and remembers what turned out otherwise than told."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.surprises: list[str] = []
        self.findings: list[tuple[str, str]] = []

    def docker(self, *words: str, shown: str = "") -> str:
        print(f"  $ docker {shown or ' '.join(words)}", flush=True)
        return self.daemon.docker(*words)

    def finding(self, what: str, holds: bool, detail: str = "") -> None:
        """What must hold, and whether it does: told at once, and in the closing table."""
        seen = ("yes" if holds else "NO") + (f", {detail}" if detail else "")
        self.findings.append((what, seen))
        print(f"    {what}: {seen}", flush=True)
        if not holds:
            self.surprises.append(what)

    def ping(self, source: str, target: str) -> bool:
        """Does one ping of a container come back?"""
        done = self.daemon.docker_run("exec", source, "ping", "-n", "-c", "1", "-W", "0.5", target)
        return ", 1 received" in done.stdout


def say(text: str) -> None:
    print(f"\n{text}", flush=True)


def build(story: Story) -> dict[str, str]:
    """Networks and containers; the address of each container in its first network."""
    say("Two networks, and four containers made of this machine's own programs (image `host`):")
    for network in NETWORKS:
        story.docker("network", "create", network)
    story.docker(
        *("run", "-d", "--name", "web", "--network", "front", "-p", "8080:80", "host", "python3", "-c", SERVER),
        shown="run -d --name web --network front -p 8080:80 host python3 -c '…a server on port 80…'",
    )
    for name, network in (("app", "front"), ("db", "back"), ("tool", "back")):
        story.docker("run", "-d", "--name", name, "--network", network, "host", "sleep", "infinity")
    story.docker("network", "connect", "back", "app")
    addresses = {}
    for name in CONTAINERS:
        network = next(network for network, members in NETWORKS.items() if name in members)
        wanted = f"{{{{ (index .NetworkSettings.Networks {network!r}).IPAddress }}}}".replace("'", '"')
        addresses[name] = story.daemon.docker("inspect", "--format", wanted, name)
    return addresses


def reach(story: Story, addresses: dict[str, str]) -> list[list[str]]:
    """Everybody pings everybody, by name and by address."""
    say("Who reaches whom, by name and by address (docker exec SOURCE ping TARGET):")
    rows = [["from \\ to", *(f"{name} {addresses[name]}" for name in CONTAINERS)]]
    for source in CONTAINERS:
        cells = []
        for target in CONTAINERS:
            if source == target:
                cells.append("·")
                continue
            together = any(source in members and target in members for members in NETWORKS.values())
            found = {
                "name": story.ping(source, target),
                # Of `app` this is its address in front: db and tool share only back with it.
                "address": story.ping(source, addresses[target]),
            }
            expected = {"name": together, "address": together and not (target == "app" and source in ("db", "tool"))}
            if found != expected:
                story.surprises.append(f"{source} to {target}: {found} instead of {expected}")
            cells.append(" + ".join(kind for kind, reached in found.items() if reached) or "no")
        rows.append([source, *cells])
    print(table(rows), flush=True)
    return rows


def publish(story: Story, addresses: dict[str, str]) -> None:
    """The published port from everywhere; what is not published from nowhere."""
    say("The published port 8080, and the way out:")
    host = story.daemon.host
    outside = host.outside
    seen = attempt(lambda: outside.ask(host.address4, 8080).address)
    story.finding("another host is answered on 8080", seen == "198.51.100.1", f"web sees the client {seen}")
    seen = attempt(lambda: host.ask("127.0.0.1", 8080).address)
    story.finding("the host's loopback is answered on 8080", seen != "", f"web sees its gateway {seen}")
    seen = attempt(lambda: host.ask(host.address4, 8080).address)
    story.finding("the host's own address is answered on 8080", seen == host.address4, f"web sees the client {seen}")
    outside.run("ip", "route", "add", f"{addresses['web']}/32", "via", host.address4)
    story.finding("port 80 itself stays closed to other hosts", not outside.reaches(addresses["web"], 80))
    story.finding("a container reaches a host outside by its name", story.ping("db", NAME))


def attempt(ask: Callable[[], str]) -> str:
    """The answer, or nothing when there is none."""
    try:
        return ask()
    except OSError:
        return ""


def logs(story: Story) -> None:
    say("What the server logged:")
    said = story.docker("logs", "web").splitlines()
    print("\n".join(f"    {line}" for line in said), flush=True)
    story.finding("docker logs shows the requests", sum(line.startswith("answered") for line in said) == 3)


def outlive(story: Story) -> None:
    say("The daemon is killed (kill -9), and a new one is started:")
    story.daemon.kill()
    outside, address = story.daemon.host.outside, story.daemon.host.address4
    story.finding("web goes on answering without a daemon", outside.reaches(address, 8080))
    story.daemon.start()
    names = story.docker("ps", "--format", "{{.Names}}").split()
    story.finding("the new daemon knows all four containers", sorted(names) == sorted(CONTAINERS))


def remove(story: Story) -> None:
    say("All of it is removed:")
    story.docker("rm", "-f", *CONTAINERS)
    story.docker("network", "rm", *NETWORKS)

    def links() -> list[str]:
        listed = story.daemon.host.run("ip", "-o", "link").splitlines()
        names = [line.split(": ")[1].partition("@")[0] for line in listed]
        return [name for name in names if name.startswith(("br-", "nl"))]

    try:
        eventually(lambda: not links())
    except AssertionError:
        story.finding("no link is left on the host", False, ", ".join(links()))
    else:
        story.finding("no link is left on the host", True)
    story.finding("no container is left", story.docker("ps", "-aq") == "")


def main() -> int:
    print("demo: a host of its own (a network and a mount namespace) with an uplink to an outside host", flush=True)
    with stage() as daemon, nameserver(daemon.host.outside):
        story = Story(daemon)
        version = daemon.docker("version", "--format", "docker {{.Client.Version}}, netloom {{.Server.Version}}")
        print(f"demo: {version}", flush=True)
        addresses = build(story)
        eventually(lambda: "serves" in daemon.docker("logs", "web"), what="the server to listen")
        matrix = reach(story, addresses)
        publish(story, addresses)
        logs(story)
        outlive(story)
        remove(story)
    say("Who reached whom:")
    print(table(matrix))
    say("What else was seen:")
    print(table([("what", "seen"), *story.findings]))
    if story.surprises:
        say(f"demo: FAILED: {'; '.join(story.surprises)}")
        return 1
    say("demo: all as told, and nothing is left behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
