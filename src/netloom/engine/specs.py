"""What the runtime is handed to create a container's processes."""

from __future__ import annotations

from collections.abc import Mapping

from netloom.containers.spec import runtime_spec
from netloom.engine.ports import Image, Launch
from netloom.model.container import Container
from netloom.model.volume import VolumeMount


def launch(
    container: Container, image: Image, files: Mapping[str, str], netns: int, volumes: tuple[VolumeMount, ...] = ()
) -> Launch:
    """`files` are the host's paths of hosts, hostname and resolv.conf; `netns` is an fd, -1 for the host's own."""
    spec = runtime_spec(container, files=files)
    config = container.config
    return Launch(
        id=container.id,
        spec=spec,
        netns=netns,
        lower=tuple(image.lower),
        tty=config.tty,
        stdin=config.open_stdin,
        stdin_once=config.stdin_once,
        volumes=volumes,
    )
