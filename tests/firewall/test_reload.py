"""The ruleset is replaced under traffic: a connection through a published port goes on, new ones are let in."""

from __future__ import annotations

import socket

import pytest
from world import HOST4, OUTSIDE4, World, address

from netloom.firewall.render import load
from netloom.firewall.rules import ruleset
from netloom.kernel.host import HostKernel
from netloom.model.desired import Element

pytestmark = pytest.mark.root


def test_connections_outlive_a_reload(world: World) -> None:
    def listening() -> socket.socket:
        server = socket.create_server((address("web"), 81))
        server.settimeout(20)
        return server

    def elements() -> set[Element]:
        kernel = HostKernel()
        try:
            return {o for o in kernel.observe() if isinstance(o, Element)}
        finally:
            kernel.close()

    add = f"{{ tcp . 8181 : {address('web')} . 81 }}"
    world.host.run("nft", "add", "element", "inet", "netloom", "published4", add)
    with world.places["web"].call(listening) as server:
        client = world.host.outside.call(socket.create_connection, (HOST4, 8181), 20.0)
        with client, server.accept()[0] as connection:
            assert world.host.call(elements) > set(world.elements)
            world.host.run("nft", "-f", "-", stdin=load(ruleset(), world.elements))
            assert world.host.call(elements) == set(world.elements)
            client.sendall(b"still here")
            assert connection.recv(64) == b"still here"
    assert world.host.outside.ask(HOST4, 8080).address == OUTSIDE4
    assert world.host.outside.misses(HOST4, 8181)  # only what was asked for came back
