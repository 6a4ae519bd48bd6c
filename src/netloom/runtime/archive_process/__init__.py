"""Files of a container's root as a tar stream and back: a program of its own, so that no other work waits for it.

    COMMAND stat|get|put JSON

Descriptor 3 is the root, 4 gets one line of JSON: what the path is, or how it ended. The archive goes by stdin and
stdout. Everything is reached from the root's descriptor: links are followed as a process would whose root it is, and
none leads out; what a link of the container's /proc would open counts as a link that leads nowhere.

Only this folder, `syscalls` and the standard library: it is started without anybody's packages.
"""

from __future__ import annotations

import sys
from pathlib import Path

_START = "import sys; sys.path.append({!r}); from netloom.runtime.archive_process.main import main; main(*sys.argv[1:])"

COMMAND = (sys.executable, "-I", "-S", "-c", _START.format(str(Path(__file__).parents[3])))
