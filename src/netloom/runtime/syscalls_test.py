"""Where the kernel's answers depend on what else happens on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from netloom.runtime import syscalls

_RENAMES = """
import os, sys
os.chdir(sys.argv[1])
os.close(os.open("x", os.O_CREAT))
print(flush=True)
while True:
    os.rename("x", "y")
    os.rename("y", "x")
"""


def test_what_others_rename_meanwhile_refuses_no_path(tmp_path: Path) -> None:
    (tmp_path / "root/one").mkdir(parents=True)
    deep = "one/../one/../one"
    root = os.open(tmp_path / "root", os.O_PATH)
    command = [sys.executable, "-c", _RENAMES, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as renaming:
        try:
            assert renaming.stdout is not None
            renaming.stdout.readline()
            for _ in range(2000):
                os.close(syscalls.open_in_root(root, deep, os.O_PATH))
        finally:
            renaming.kill()
            os.close(root)
