"""Routes that change a container that stands."""

from netloom.testing.api_client import Client


async def test_ports_of_netlooms_own(api: Client) -> None:
    key = (await api("POST", "/containers/create?name=web", {"Image": "host"})).json["Id"]
    path = "/containers/web/netloom/ports"
    assert (await api("POST", path, {"Add": {"80/tcp": [{"HostPort": "8080"}], "81/tcp": None}})).status == 204
    shown = (await api("GET", f"/containers/{key}/json")).json
    assert shown["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "81/tcp": [{"HostIp": "", "HostPort": ""}],
    }
    assert {"80/tcp", "81/tcp"} <= set(shown["Config"]["ExposedPorts"])
    assert (await api("POST", path, {"Remove": {"80/tcp": []}})).status == 204
    assert (await api("POST", path, {"Remove": {"80/tcp": []}})).status == 404
    assert (await api("POST", path, {"Add": {"x": []}})).status == 400
