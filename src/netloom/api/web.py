"""aiohttp's server, without its client: the client takes 7 MB and a tenth of a second of each start of the daemon.

Importing any part of aiohttp runs the package's `__init__`, which imports the client. Here the package is made known
first, empty, so that its parts are found without; whoever asks it for a name of `__init__` after all gets the whole.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any


def _announce(name: str) -> None:
    """Put a package into `sys.modules` whose `__init__` runs when it is first needed. One that is there stays."""
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    package, loader = importlib.util.module_from_spec(spec), spec.loader

    def whole(attribute: str) -> Any:
        if attribute.startswith("__") or importlib.util.find_spec(f"{name}.{attribute}"):
            raise AttributeError(attribute)  # of a part: the import statement goes on and imports it
        del package.__dict__["__getattr__"]
        loader.exec_module(package)
        return getattr(package, attribute)

    package.__dict__.update(__getattr__=whole, __version__="")  # of user agents; reading it would cost 16 ms
    sys.modules[name] = package


_announce("aiohttp")

# Only after that.
from aiohttp.http_exceptions import HttpProcessingError  # noqa: E402
from aiohttp.web_protocol import RequestHandler, RequestPayloadError  # noqa: E402
from aiohttp.web_request import BaseRequest  # noqa: E402
from aiohttp.web_response import StreamResponse  # noqa: E402
from aiohttp.web_server import Server  # noqa: E402

__all__ = ["BaseRequest", "HttpProcessingError", "RequestHandler", "RequestPayloadError", "Server", "StreamResponse"]
