"""/policies."""

from __future__ import annotations

from netloom.model.policy import Denial
from netloom.testing.api_client import Client
from netloom.testing.fake_backend import FakeBackend

SHOP = {
    "name": "shop",
    "default": {"app": "deny"},
    "allow": [{"from": {"label": "role=web", "network": "app"}, "to": {"name": "a.test"}, "ports": [443]}],
    "deny": [{"to": {"host": True}}],
}


async def test_a_policy_comes_is_shown_and_goes(api: Client) -> None:
    made = await api("POST", "/policies?dryrun=1", SHOP)
    assert made.status == 201
    shown = (await api("GET", "/policies/shop")).json
    assert shown | {"Created": ""} == {
        "Name": "shop",
        "Created": "",
        "DryRun": True,
        "Default": {"app": "deny"},
        "DefaultHits": {"app": 0},
        "Entries": [
            {"Name": "deny-1", "Verdict": "deny", "From": {}, "To": {"Host": True}, "Ports": [], "Hits": 0},
            {
                "Name": "allow-1",
                "Verdict": "allow",
                "From": {"Labels": ["role=web"], "Network": "app"},
                "To": {"Name": "a.test"},
                "Ports": ["443/tcp"],
                "Hits": 0,
            },
        ],
    }
    assert [policy["Name"] for policy in (await api("GET", "/policies")).json] == ["shop"]
    assert (await api("DELETE", "/policies/shop")).status == 204
    assert (await api("DELETE", "/policies/shop")).status == 404


async def test_what_is_no_policy_is_refused(api: Client) -> None:
    answer = await api("POST", "/policies", {"name": "shop", "deny": [{"ports": ["x"]}]})
    assert answer.status == 400
    assert "policy shop: deny entry 1: ports: 'x' is no port" in answer.json["message"]
    assert (await api("POST", "/policies")).status == 400


async def test_denials(api: Client, backend: FakeBackend) -> None:
    backend.denied.append(Denial(0, False, "tcp", "10.0.0.2", 1234, "web on app", "192.0.2.1", 80, "", "shop/deny-1"))
    (told,) = (await api("GET", "/policies/log")).json
    assert told["Source"] == {"Address": "10.0.0.2", "Port": 1234, "Name": "web on app"}
    assert told["Entry"] == "shop/deny-1"
