"""Testcontainers for Python: a service for the time of a test, reached by its mapped port."""

from __future__ import annotations

import os
import subprocess
import sys

from netloom.testing.hosts import Host

# A program of its own: Testcontainers reads its settings when it is imported, and asks the port from where it runs.
PROGRAM = """
import sys, urllib.request
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

image = sys.argv[1]
serve = ["sh", "-c", "echo $GREETING; exec httpd -f -h /www"]
with Network() as network:
    service = (
        DockerContainer(image).with_command(serve).with_env("GREETING", "open now").with_exposed_ports(80)
        .with_network(network).with_network_aliases("shop").waiting_for(LogMessageWaitStrategy("open now"))
    )
    with service:
        HttpWaitStrategy(80).wait_until_ready(service)
        url = f"http://{service.get_container_host_ip()}:{service.get_exposed_port(80)}/"
        assert urllib.request.urlopen(url).read() == b"it works\\n", url
        assert service.get_logs()[0] == b"open now\\n"
        assert service.exec(["hostname"]).exit_code == 0
        client = DockerContainer(image).with_command(["sleep", "1000"]).with_network(network)
        with client:
            assert client.exec(["wget", "-q", "-O", "-", "http://shop/"]).output == b"it works\\n"
print("done")
"""


def test_a_service_is_reached_by_its_mapped_port(url: str, image: str, host: Host) -> None:
    environment = {**os.environ, "DOCKER_HOST": url, "TESTCONTAINERS_RYUK_DISABLED": "true"}
    done = subprocess.run(
        host.command(sys.executable, "-W", "ignore", "-c", PROGRAM, image),
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr[-4000:]
