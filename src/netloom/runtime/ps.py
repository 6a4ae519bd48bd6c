"""The host's `ps`, for `docker top`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from netloom.model.errors import Failed, Unavailable

_PATIENCE = 10  # seconds


def ps(arguments: Sequence[str]) -> str:
    """What `ps ARGUMENTS` prints. Raises Failed with the first of its own words when it refuses them."""
    try:
        done = subprocess.run(
            ["ps", *arguments], capture_output=True, text=True, timeout=_PATIENCE, check=False, errors="replace"
        )
    except FileNotFoundError as error:
        raise Unavailable("there is no ps on this host", remedy="install procps") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise Failed(f"ps: {said[0] if said else f'exit status {done.returncode}'}")
    return done.stdout
