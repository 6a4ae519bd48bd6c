"""What the tests of the whole share: how long a randomised test runs, and from which seed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

SLICE = 30.0  # seconds of each soak test in `make test`
SOAK = float(os.environ.get("NETLOOM_SOAK_SECONDS", "600"))


@pytest.fixture
def seed() -> int:
    """The seed of randomised tests: fixed in `make test`, of the clock in `make soak`; NETLOOM_SEED sets it.

    A failing test shows it among its captured output.
    """
    chosen = int(os.environ.get("NETLOOM_SEED") or (time.time_ns() if os.environ.get("NETLOOM_SOAK") else 20))
    print(f"NETLOOM_SEED={chosen}")
    return chosen


@pytest.fixture
def time_left() -> Callable[[], bool]:
    """True until the share of time of a test marked `soak` is used up: a slice, or all of it under `make soak`."""
    end = time.monotonic() + (SOAK if os.environ.get("NETLOOM_SOAK") else SLICE)
    return lambda: time.monotonic() < end
