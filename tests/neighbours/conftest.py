"""A host with an uplink, once for each way of bridged packets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netloom.testing.hosts import Host


@pytest.fixture(params=[False, True], ids=["brnf0", "brnf1"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with Host(uplink=True) as made:
        made.bridge_netfilter(request.param)
        yield made
