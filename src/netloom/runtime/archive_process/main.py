"""The program: does what its words say, and tells how it went."""

from __future__ import annotations

import errno
import json
import os

from netloom.runtime.archive_process.extraction import put
from netloom.runtime.archive_process.inside import Refused, absolute, look, tell, told
from netloom.runtime.archive_process.writing import get


def main(mode: str, words: str) -> None:
    """Do it, and tell how it went."""
    wanted = json.loads(words)
    try:
        if mode == "stat":
            path = absolute(wanted["path"])
            tell(stat=told(path, look(path)[1]))
        elif mode == "get":
            get(wanted)
        else:
            put(wanted)
            tell(done=True)
    except Refused as error:
        tell(error=error.kind, detail=error.detail)
    except BrokenPipeError:
        return  # nobody reads any more
    except OSError as error:
        if mode == "get":
            raise  # a stream that ends early tells it
        reason = os.strerror(error.errno or errno.EIO).lower()
        tell(error="failed", detail=f"{error.filename or wanted['path']}: {reason}", errno=error.errno)
