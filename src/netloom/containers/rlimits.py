"""`--ulimit`: resource limits (getrlimit(2)) as the OCI spec says them."""

from __future__ import annotations

from typing import Any

from netloom.containers.sysctls import CREATE_PREFIX
from netloom.model.errors import Failed
from netloom.model.host_config import HostConfig

_NAMES = frozenset(
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
)
_UNSIGNED = 1 << 64  # a negative limit is the unsigned number of the same bits: -1 is RLIM_INFINITY


def rlimits(host_config: HostConfig) -> list[dict[str, Any]]:
    """`process.rlimits`. Raises Failed with the sentence that Docker's start gives for a name nobody knows.

    Of two limits of one name the last one counts.
    """
    found: dict[str, dict[str, Any]] = {}
    for limit in host_config.ulimits or ():
        kind = f"RLIMIT_{limit.name.upper()}"
        if limit.name.lower() not in _NAMES:
            raise Failed(f"{CREATE_PREFIX}wrong rlimit value: {kind}")
        if limit.soft % _UNSIGNED > limit.hard % _UNSIGNED:
            raise Failed(
                f"{CREATE_PREFIX}unable to start container process: error during container init: error setting rlimits "
                "for ready process: invalid argument",
                remedy=f"the soft limit of {limit.name} may not be above the hard one",
            )
        found[kind] = {"type": kind, "hard": limit.hard % _UNSIGNED, "soft": limit.soft % _UNSIGNED}
    return list(found.values())
