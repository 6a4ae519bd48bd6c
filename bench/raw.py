"""The kernel's own bound: raw_attach.c, compiled where there is a C compiler."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.figures import Figures

SOURCE = Path(__file__).with_name("raw_attach.c")


def compile_helper(folder: str) -> str:
    """The program's path; empty where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return ""
    program = f"{folder}/raw_attach"
    subprocess.run([compiler, "-O2", "-Wall", "-Werror", "-o", program, str(SOURCE)], check=True)
    return program


def measure(figures: Figures, endpoints: int, sizes: tuple[int, ...]) -> bool:
    """Times of attaching, in ms, as engine `kernel`. False when there is no compiler.

    The program works in a network namespace of its own.
    """
    with tempfile.TemporaryDirectory(prefix="netloom-bench-") as folder:
        program = compile_helper(folder)
        if not program:
            return False
        done = subprocess.run([program, str(endpoints)], capture_output=True, text=True, check=True)
    taken = [float(value) / 1e3 for value in json.loads(done.stdout)]
    figures.add("kernel", "connect", *taken[5:55])
    for size in sizes:
        around = taken[max(0, size - 13) : size + 12]
        if around:
            figures.add("kernel", f"connect as number {size}", *around)
    return True
