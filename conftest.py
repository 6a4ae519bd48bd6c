"""What all tests share: how long a randomised test runs, and from which seed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("netloom.testing.driver_checks")  # a check that fails says what it found

SLICE = 30.0  # seconds of each soak test in `make test`
SOAK = float(os.environ.get("NETLOOM_SOAK_SECONDS", "600"))
SOAKING = bool(os.environ.get("NETLOOM_SOAK"))

# In `make test` a property is tried with the same examples each time: a failure is the change's own.
settings.register_profile("fast", derandomize=True, deadline=None)
settings.register_profile("deep", max_examples=5000, deadline=None)
settings.load_profile("deep" if SOAKING else "fast")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks for its share of time is a soak test. They come first: none is begun when all else has ended."""
    for item in items:
        if "share" in getattr(item, "fixturenames", ()):
            item.add_marker("soak")
            if not SOAKING:  # a slice goes on to the end of what it has begun
                item.add_marker(pytest.mark.timeout(300))
    items.sort(key=lambda item: item.get_closest_marker("soak") is None)


@pytest.fixture
def seed() -> int:
    """The seed of randomised tests: fixed in `make test`, of the clock in `make soak`; NETLOOM_SEED sets it.

    A failing test shows it among its captured output.
    """
    chosen = int(os.environ.get("NETLOOM_SEED") or (time.time_ns() if SOAKING else 20))
    print(f"NETLOOM_SEED={chosen}")
    return chosen


@pytest.fixture
def share() -> float:
    """Seconds that a test marked `soak` may take: a slice, or all of it under `make soak`."""
    return SOAK if SOAKING else SLICE


@pytest.fixture
def time_left(share: float) -> Callable[[], bool]:
    """True until the test's share of time is used up."""
    end = time.monotonic() + share
    return lambda: time.monotonic() < end
