"""A user's configuration over an image's."""

from typing import Any

import pytest

from netloom.containers.merging import command, merged
from netloom.model.container import ContainerConfig
from netloom.model.errors import InvalidArgument
from netloom.model.health import HealthConfig
from netloom.model.image import ImageConfig

IMAGE = ImageConfig(
    user="app",
    exposed_ports={"80/tcp": {}},
    env=("PATH=/bin", "A=1"),
    entrypoint=("/init",),
    cmd=("serve",),
    volumes={"/data": {}},
    working_dir="/srv",
    labels={"a": "image", "b": "image"},
    stop_signal="SIGINT",
    healthcheck=HealthConfig(test=("CMD", "probe"), interval=5, retries=2),
)


def test_nothing_of_ones_own_is_the_image() -> None:
    config = merged(ContainerConfig(), IMAGE)
    assert (config.user, config.working_dir, config.stop_signal) == ("app", "/srv", "SIGINT")
    assert (config.env, config.volumes, config.exposed_ports) == (IMAGE.env, IMAGE.volumes, IMAGE.exposed_ports)
    assert (command(config), config.labels, config.healthcheck) == (
        ["/init", "serve"],
        IMAGE.labels,
        IMAGE.healthcheck,
    )


def test_ones_own_comes_first() -> None:
    own = ContainerConfig(
        user="0",
        env=("B=2", "A=mine"),
        labels={"b": "mine"},
        volumes={"/more": {}},
        exposed_ports={"53/udp": {}},
        healthcheck=HealthConfig(interval=9),
    )
    config = merged(own, IMAGE)
    assert config.user == "0"
    assert config.env == ("B=2", "A=mine", "PATH=/bin")
    assert config.labels == {"a": "image", "b": "mine"}
    assert set(config.volumes or ()) == {"/data", "/more"}
    assert set(config.exposed_ports or ()) == {"80/tcp", "53/udp"}
    assert config.healthcheck == HealthConfig(test=("CMD", "probe"), interval=9, retries=2)


@pytest.mark.parametrize(
    ("own", "argv"),
    [
        ((None, None), ["/init", "serve"]),
        ((("other",), None), ["/init", "other"]),
        ((None, ("/mine",)), ["/mine"]),
        ((("x",), ("/mine",)), ["/mine", "x"]),
        ((("sh",), ("",)), ["sh"]),
        (((), ()), ["serve"]),
    ],
)
def test_command(own: Any, argv: list[str]) -> None:
    assert command(merged(ContainerConfig(cmd=own[0], entrypoint=own[1]), IMAGE)) == argv


@pytest.mark.parametrize("entrypoint", [None, ("",)])
def test_no_command(entrypoint: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^no command specified$"):
        merged(ContainerConfig(entrypoint=entrypoint), ImageConfig())
