"""Other firewalls' own programs in a test host: Debian's packages over the root of a mount namespace of their own.

    with Programs(host, tmp_path) as programs:
        programs.run("ufw", "--force", "enable")

What they write goes with the namespace; the machine's own files are below them and stay as they are.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Self

import pytest

from netloom.testing.hosts import Host, eventually

_ROOT = Path(__file__).parent.parent.parent
_LAY = """
set -e
top=$1 at=$2
mount -t tmpfs tmpfs "$at"
mkdir "$at/upper" "$at/work" "$at/root" "$at/below" "$at/top"
cp -a "$top/." "$at/top"
mount --bind / "$at/below"
mount -t overlay overlay -o "lowerdir=$at/top:$at/below,upperdir=$at/upper,workdir=$at/work" "$at/root"
for one in proc sys dev tmp; do mount --rbind "/$one" "$at/root/$one"; done
mount -t tmpfs tmpfs "$at/root/run"
exec chroot "$at/root" sh -c 'mkdir -p /run/lock /run/dbus && echo laid && exec sleep infinity'
"""


def unpacked() -> Path:
    """Where the packages are; skips where they could not be fetched."""
    found = subprocess.run([_ROOT / "scripts/other-firewalls", "--cached"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("the other firewalls' packages are not there: scripts/other-firewalls fetches them")
    return Path(found.stdout.strip())


class Programs:
    """Runs them in the host's network namespace; all end at `close`."""

    def __init__(self, host: Host, directory: Path) -> None:
        at = directory / "programs"
        at.mkdir()
        self.host = host
        lay = ("unshare", "-m", "--propagation", "private", "sh", "-c", _LAY, "sh", str(unpacked()), str(at))
        self._holder = host.popen(*lay, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "laid\n"
        self._started: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was started here, the last one first."""
        for child in [*reversed(self._started), self._holder]:
            child.terminate()
            child.wait(30)
        self._started.clear()

    @property
    def root(self) -> Path:
        """Their root, as seen from outside."""
        return Path(f"/proc/{self._holder.pid}/root")

    def run(self, *argv: str, check: bool = True, stdin: str | None = None) -> str:
        """Run a program to its end; its output."""
        return self.host.run(*self._command(argv), check=check, stdin=stdin)

    def start(self, *argv: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a program that stays in the foreground."""
        child = self.host.popen(*self._command(argv), **options)
        self._started.append(child)
        return child

    def _command(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        return ("nsenter", f"--target={self._holder.pid}", "--mount", "--root", "--wd=/", "--", *argv)


def ufw(programs: Programs) -> None:
    """Switch ufw on, as its package leaves it: what comes in is denied, and what is routed."""
    shared = "/usr/share/ufw"
    programs.run("sh", "-c", f"cp {shared}/ufw.conf {shared}/iptables/*.rules /etc/ufw/")
    programs.run("ufw", "--force", "enable")


BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>
"""


class Firewalld:
    """A firewalld on a system bus of its own, without polkit, as on a host that was installed without it."""

    def __init__(self, programs: Programs, directory: Path) -> None:
        self._programs = programs
        self.bus = directory / "bus"
        config = directory / "bus.conf"
        config.write_text(BUS % self.bus)
        programs.start("dbus-daemon", "--nofork", "--nopidfile", f"--config-file={config}")
        eventually(self.bus.exists, what="the bus")
        self.start()

    @property
    def address(self) -> str:
        """Of the bus."""
        return f"unix:path={self.bus}"

    def start(self) -> None:
        """Start it, and wait until it serves."""
        environment = ("env", f"DBUS_SYSTEM_BUS_ADDRESS={self.address}")
        self._process = self._programs.start(*environment, "firewalld", "--nofork", "--nopid")
        eventually(lambda: self.cmd("--state", check=False) == "running", what="firewalld", timeout=30)

    def stop(self) -> None:
        """End it, as `systemctl stop` does: it takes its rules away."""
        self._process.terminate()
        self._process.wait(30)

    def cmd(self, *words: str, check: bool = True) -> str:
        """firewall-cmd."""
        environment = ("env", f"DBUS_SYSTEM_BUS_ADDRESS={self.address}")
        return self._programs.run(*environment, "firewall-cmd", *words, check=check).strip()
