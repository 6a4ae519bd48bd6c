"""aiohttp in two halves."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import sys
from netloom.api import server
assert "aiohttp.client" not in sys.modules and "aiohttp.connector" not in sys.modules
import aiohttp
assert not hasattr(aiohttp, "__nothing__")
assert aiohttp.ClientSession.__module__ == "aiohttp.client"
assert aiohttp.__version__
from aiohttp import web
from netloom.api import web as ours
assert web.Server is ours.Server and web.StreamResponse is ours.StreamResponse
"""


def test_the_server_comes_without_the_client_and_the_whole_when_it_is_asked_for() -> None:
    """In a process of its own: here somebody may have imported all of it before."""
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
