"""The world of these tests, made once for each module and for each way of bridged packets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from world import World


@pytest.fixture(scope="module", params=[False, True], ids=["brnf0", "brnf1"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack, request.param)
