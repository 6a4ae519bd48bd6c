from typing import Any

import pytest

from netloom.api.routing import Route, Routes
from netloom.api.server import ROUTES


def handler(name: str) -> Any:
    async def run(call: object) -> str:
        return name

    run.__name__ = name
    return run


TABLE = Routes(
    Route(method, path, handler(f"{method} {path}"))
    for method, path in [
        ("GET", "/networks"),
        ("GET", "/networks/{ref}"),
        ("POST", "/networks/create"),
        ("POST", "/networks/{ref}/connect"),
        ("GET", "/containers/{ref}/json"),
        ("GET", "/containers/{ref}/attach/ws"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "found", "version", "ref"),
    [
        ("GET", "/networks", "GET /networks", (1, 51), ""),
        ("GET", "/v1.24/networks", "GET /networks", (1, 24), ""),
        ("GET", "/v1.40/networks/a", "GET /networks/{ref}", (1, 40), "a"),
        ("GET", "/networks/a/b", "GET /networks/{ref}", (1, 51), "a/b"),
        ("GET", "/networks/a%2fb%20c", "GET /networks/{ref}", (1, 51), "a/b c"),
        ("POST", "/networks/a/b/connect", "POST /networks/{ref}/connect", (1, 51), "a/b"),
        ("POST", "/networks/create", "POST /networks/create", (1, 51), ""),
        ("GET", "/networks/a/", "GET /networks/{ref}", (1, 51), "a/"),
        ("GET", "/containers/a/json", "GET /containers/{ref}/json", (1, 51), "a"),
        ("PUT", "/networks", None, (1, 51), ""),
        ("GET", "/containers/json/x", None, (1, 51), "json/x"),
        ("POST", "/networks//connect", None, (1, 51), ""),
        ("GET", "/networks/../x", None, (1, 51), ""),
        ("GET", "/networks/%2e%2e/x", None, (1, 51), ""),
        ("GET", "/v1.51", None, (1, 51), ""),
        ("GET", "/v1.51/", None, (1, 51), ""),
        ("GET", "/vnext/networks", None, (1, 51), "networks"),
    ],
)
def test_find(method: str, path: str, found: str | None, version: tuple[int, int], ref: str) -> None:
    match = TABLE.find(method, path)
    assert (match.handler.__name__ if match.handler else None) == found
    assert (match.version, match.ref) == (version, ref)


def test_a_tail_of_two_parts() -> None:
    match = ROUTES.find("GET", "/containers/a/attach/ws")
    assert match.handler is not None
    assert match.ref == "a"
